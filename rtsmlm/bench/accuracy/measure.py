"""How well localizers do: all of them on the same movies, against the bars set beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.errors import RtsmlmError
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import Localizer

Psf = Literal["round", "astigmatic"]


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a figure should lie."""

    low: float = -math.inf
    high: float = math.inf

    def met(self, value: float) -> bool:
        """Whether a value lies within; NaN never does."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"<= {self.high:g}"
        return f">= {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is asked of a figure."""

    figure: str
    bar: Limit | None = None
    """Without one the figure is reported, not judged."""
    aim: Limit | None = None
    above: tuple[str, ...] = ()
    """The bar is the best of these contenders."""
    rank: str = "Jaccard index"
    """Of several settings of a peer the one counts for which this figure is highest."""
    least: bool = False
    """Tables show the least of the section instead of one value for each condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One scene and what is asked of it."""

    section: str
    condition: str
    scene: Callable[[], Scene]
    goals: tuple[Goal, ...]
    score: Callable[[Scene, Localizations], Figures] | None = None
    """Figures of what was found."""
    score_opened: Callable[[Scene, Localizer], Figures] | None = None
    """Figures of a localizer as a run has it, with what it says of itself; no peer takes part."""
    psfs: tuple[Psf, ...] = ("round",)
    """Localizers for these PSFs take part."""
    peers: bool = True
    """Whether other programs take part."""


class Contender(Protocol):
    """A localizer under test; one of ours opens, too."""

    @property
    def name(self) -> str:
        """Heading of its column."""
        ...

    @property
    def psf(self) -> Psf:
        """What it is for."""
        ...

    @property
    def is_peer(self) -> bool:
        """True for the program of others."""
        ...

    def __call__(self, scene: Scene) -> Iterable[tuple[str, Localizations]]:
        """Localize, once or with several settings; yield those settings and what was found."""
        ...


@dataclass(slots=True, kw_only=True)
class Row:
    """One figure of all contenders."""

    section: str
    condition: str
    goal: Goal
    values: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of peers that reached the value."""

    def bar(self) -> Limit | None:
        """Return the bar in force."""
        rivals = [self.values[name] for name in self.goal.above if name in self.values]
        return Limit(low=math.nextafter(max(rivals), math.inf)) if rivals else self.goal.bar

    def met(self, name: str) -> bool | None:
        """Whether a contender meets the bar; None where it is not judged."""
        bar = self.bar()
        if bar is None or name in self.goal.above:
            return None
        return bar.met(self.values[name])


@dataclass(slots=True, kw_only=True)
class Outcome:
    """All that was measured."""

    rows: list[Row] = field(default_factory=list)
    left_out: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Sections by contender and reason."""
    notes: list[str] = field(default_factory=list)
    """What else is left out, and why."""

    def leave_out(self, name: str, section: str, why: Exception) -> None:
        """Note that a contender has no value in a section."""
        reason = str(why).splitlines()[0]
        sections = self.left_out.setdefault((name, reason), [])
        if section not in sections:
            sections.append(section)

    def all_notes(self) -> list[str]:
        """Return all notes as sentences."""
        return self.notes + [
            f"{name} is left out of {', '.join(sections)}: {reason}"
            for (name, reason), sections in self.left_out.items()
        ]

    def shown(self) -> list[Row]:
        """Return the rows of the tables: of some figures the least of each section alone."""
        rows: list[Row] = []
        for section in dict.fromkeys(row.section for row in self.rows):
            own = [row for row in self.rows if row.section == section]
            rows += [row for row in own if not row.goal.least]
            for figure in dict.fromkeys(row.goal.figure for row in own if row.goal.least):
                rows.append(_least([row for row in own if row.goal.figure == figure]))
        return rows


@runtime_checkable
class Opens(Protocol):
    """A contender that is a localizer of a run."""

    def open(self, scene: Scene) -> Localizer:
        """Return the localizer for a scene."""
        ...


def takes_part(check: Check, contender: Contender) -> bool:
    """Whether a contender is measured by a check."""
    if check.score_opened is not None and not isinstance(contender, Opens):
        return False
    return contender.psf in check.psfs and (check.peers or not contender.is_peer)


def measure(
    checks: Sequence[Check],
    contenders: Sequence[Contender],
    on_step: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Measure all contenders on the same scenes.

    Parameters
    ----------
    checks
        What is measured, in the order of the tables.
    contenders
        The localizers. One that fails is left out of that scene, with a note.
    on_step
        Called before each scene of each contender with what comes.
    """
    outcome = Outcome()
    for check in checks:
        rows = [
            Row(section=check.section, condition=check.condition, goal=goal) for goal in check.goals
        ]
        try:
            scene = check.scene()
        except RtsmlmError as error:
            outcome.notes.append(f"{check.section}, {check.condition}, is left out: {error}")
            continue
        for contender in contenders:
            if not takes_part(check, contender):
                continue
            on_step(f"{check.section}, {check.condition}: {contender.name}")
            try:
                answers = list(_answers(check, contender, scene))
            except RtsmlmError as error:
                outcome.leave_out(contender.name, check.section, error)
                continue
            for row in rows:
                settings, figures = max(answers, key=lambda answer: _merit(row.goal, answer[1]))
                row.values[contender.name] = figures[row.goal.figure]
                row.settings[contender.name] = settings
        outcome.rows += [row for row in rows if row.values]
    return outcome


def _answers(check: Check, contender: Contender, scene: Scene) -> Iterator[tuple[str, Figures]]:
    """Yield settings of a contender, and the figures that it has with them."""
    if check.score is not None:
        for text, locs in contender(scene):
            yield text, check.score(scene, locs)
    if check.score_opened is not None and isinstance(contender, Opens):
        yield "", check.score_opened(scene, contender.open(scene))


def _merit(goal: Goal, figures: Figures) -> float:
    merit = figures.get(goal.rank, -math.inf)
    return -math.inf if math.isnan(merit) else merit


def _least(rows: Sequence[Row]) -> Row:
    """Return one row with the least value of each contender."""
    first = rows[0]
    goal = Goal(figure=f"lowest {first.goal.figure}", bar=first.goal.bar, aim=first.goal.aim)
    names = dict.fromkeys(name for row in rows for name in row.values)
    values = {n: min(row.values[n] for row in rows if n in row.values) for n in names}
    return Row(section=first.section, condition="all of these", goal=goal, values=values)


def manifest_rows(rows: Iterable[Row], name: str) -> tuple[dict[str, float | str], ...]:
    """Return the figures of one localizer as the accuracy table of a manifest.

    Parameters
    ----------
    rows
        What was measured.
    name
        Its column.
    """
    entries: list[dict[str, float | str]] = []
    for row in rows:
        value = row.values.get(name, math.nan)
        if not math.isnan(value):
            entry: dict[str, float | str] = {
                "test": row.section,
                "condition": row.condition,
                "figure": row.goal.figure,
                "value": float(f"{value:.4g}"),
            }
            bar = row.bar()
            entries.append(entry if bar is None else {**entry, "bar": str(bar)})
    return tuple(entries)


def as_json(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Return the rows for JSON; what is NaN or unlimited becomes None."""

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def ends(limit: Limit | None) -> list[float | None] | None:
        return None if limit is None else [known(limit.low), known(limit.high)]

    return [
        {
            "section": row.section,
            "condition": row.condition,
            "figure": row.goal.figure,
            "bar": ends(row.bar()),
            "aim": ends(row.goal.aim),
            "values": {name: known(value) for name, value in row.values.items()},
            "settings": {name: text for name, text in row.settings.items() if text},
        }
        for row in rows
    ]
