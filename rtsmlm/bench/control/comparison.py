"""All laws on the same fields: the table of docs/control.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rtsmlm.bench.control.scenarios import LAWS, SCENARIOS, Figures, Maker
from rtsmlm.errors import number_text

ABOUT = """Simulated AF647 under 1 kW/cm² at 640 nm, 50-ms frames, 30 detected emitters per frame on
300 um2. Median and, in brackets, the worst of {seeds} seeds. Times are until the 2-s mean of
emitters that shine is within 20 % of the target for good, unless it says otherwise; a dash is
never. Peers are written anew with their published defaults. htSMLM gets emitters that vanish
between two frames; AutoLase the longest on-time of a pixel, to be kept where it is at the target
(DNA-PAINT: where it is without any light at 405 nm, so that it has no reason to move); ALICA spots
per 100 um2, after its self-tuning from the dark.
"""

ROWS: dict[str, tuple[str, str]] = {
    "reach_s": ("from 1/20 of the power: first there, s", "s"),
    "settle_s": ("same: there for good, s", "s"),
    "overshoot": ("overshoot of the 5-s mean", "%"),
    "halved_s": ("half of the pool gone: recovered, s", "s"),
    "doubled_s": ("target doubled: reached, s", "s"),
    "dense_s": ("ten times too dense: settled, s", "s"),
    "inverted_s": ("same, count inverted: settled, s", "s"),
    "inverted_power": ("same: power after 60 s over that at the start", "x"),
    "paint_power": ("DNA-PAINT: power after 120 s, of the cap", "%"),
    "dark_s": ("camera lost: dark, s", "s"),
    "bias": ("bias until the cap", "±%"),
    "spread": ("standard deviation of the 2-s mean", "%"),
    "jitter": ("jitter of ln(power)", "x"),
    "swing": ("autocorrelation beyond 10 s", "x"),
    "hyperbola": ("power off the hyperbola, t < 0.6 T_end", "%"),
    "stopped_s": ("pool used up: stopped, s", "s"),
}
"""What each figure is called, and how it is written."""
NO_BETTER_WHEN_LESS = frozenset({"inverted_power"})
"""Of all others the one nearest to 0 is the best."""


@dataclass(frozen=True, slots=True)
class LawTable:
    """Figures of every law on every seed."""

    seeds: tuple[int, ...]
    figures: Mapping[str, Sequence[Figures]]
    """By law; one for each seed."""

    def all(self, law: str, figure: str) -> list[float]:
        """Return one figure of a law on all seeds."""
        return [figures[figure] for figures in self.figures[law]]

    def median(self, law: str, figure: str) -> float:
        """Return its median, the upper one of two; NaN counts as the highest."""
        values = sorted(self.all(law, figure), key=lambda v: (math.isnan(v), v))
        return values[len(values) // 2]

    def worst(self, law: str, figure: str) -> float:
        """Return the one furthest from 0; NaN counts as furthest."""
        return max(self.all(law, figure), key=lambda v: math.inf if math.isnan(v) else abs(v))


def compare_laws(
    seeds: Sequence[int],
    laws: Mapping[str, Maker] | None = None,
    on_run: Callable[[str], None] = lambda _: None,
) -> LawTable:
    """Rehearse laws in all scenarios.

    Parameters
    ----------
    seeds
        Each gives every law the same emitters and the same places.
    laws
        By name; ours and those of the peers where none are given.
    on_run
        Called with the law, scenario and seed of each finished run.
    """
    chosen = LAWS if laws is None else laws

    def figures(name: str, seed: int) -> Figures:
        found: Figures = {}
        for scenario in SCENARIOS:
            found |= scenario(chosen[name], seed)
            on_run(f"{name}, seed {seed}: {scenario.__name__.replace('_', ' ')}")
        return found

    return LawTable(tuple(seeds), {name: [figures(name, s) for s in seeds] for name in chosen})


def markdown(table: LawTable) -> str:
    """Return the table as Markdown, with what stands above it."""
    laws = list(table.figures)
    lines = [["", *laws], ["---"] * (len(laws) + 1)]
    for figure, (title, unit) in ROWS.items():
        cells = [_cell(table, law, figure, unit) for law in laws]
        lines.append([title, *cells])
    body = "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
    return ABOUT.format(seeds=len(table.seeds)) + "\n" + body


def behind(table: LawTable, law: str = "rtsmlm") -> list[str]:
    """Return the figures in which another law has the better median, as lines of Markdown."""
    lines = []
    for figure, (title, unit) in ROWS.items():
        own = abs(table.median(law, figure))
        better = [o for o in table.figures if abs(table.median(o, figure)) < own]
        if better and figure not in NO_BETTER_WHEN_LESS:
            cells = [f"{name} {_cell(table, name, figure, unit)}" for name in [law, *better]]
            lines.append(f"- {_full(title)}: {', '.join(cells)}\n")
    return lines


def _full(title: str) -> str:
    """Return a title that stands alone: "same" is what the last row without it has named."""
    if not title.startswith("same"):
        return title
    titles = [other for other, _ in ROWS.values()]
    named = [t for t in titles[: titles.index(title)] if not t.startswith("same")]
    return named[-1].partition(":")[0] + title.removeprefix("same")


def _cell(table: LawTable, law: str, figure: str, unit: str) -> str:
    median, worst = table.median(law, figure), table.worst(law, figure)
    return f"{_number(median, unit)} ({_number(worst, unit)})"


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "-"
    if unit == "s":
        return f"{value:.1f}"
    if unit == "x":
        return number_text(value, 2)
    return f"{100 * value:+.1f} %" if unit == "±%" else f"{100 * value:.1f} %"
