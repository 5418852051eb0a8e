"""A trial: one set of data, who enters it, and how an answer to it is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.results import Score, known
from rtsmlm.errors import RtsmlmError

Judge: TypeAlias = Callable[[Entrant], Figures]
"""Lets an entrant answer, and scores the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set."""

    section: str
    condition: str
    prepare: Callable[[], Judge]
    """Draws or reads the set."""
    enters: Callable[[Entrant], bool]


def n_steps(trials: Sequence[Trial], entrants: Sequence[Entrant]) -> int:
    """Return how often an answer is asked for."""
    return sum(trial.enters(entrant) for trial in trials for entrant in entrants)


def hold(
    trials: Sequence[Trial],
    entrants: Sequence[Entrant],
    notes: list[str],
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Score]:
    """Let all entrants answer all trials that they enter.

    Parameters
    ----------
    trials
        In the order of the page.
    entrants
        One that fails is left out of that trial, with a note.
    notes
        Appended to.
    on_step
        Called before each answer with what comes.
    """
    scores: list[Score] = []
    failed: dict[tuple[str, str, str], list[str]] = {}
    for trial in trials:
        present = [entrant for entrant in entrants if trial.enters(entrant)]
        if not present:
            continue
        try:
            judge = trial.prepare()
        except RtsmlmError as error:
            notes.append(f"{trial.section}, {trial.condition}, is left out: {error}")
            continue
        for entrant in present:
            on_step(f"{trial.section}, {trial.condition}: {entrant.label}")
            try:
                figures = judge(entrant)
            except RtsmlmError as error:
                reason = str(error)
                failed.setdefault((entrant.label, trial.section, reason), []).append(
                    trial.condition
                )
                continue
            scores.append(
                Score(
                    section=trial.section,
                    condition=trial.condition,
                    model=entrant.label,
                    figures=known(figures),
                )
            )
    notes += [
        f"{label} is left out of {section.lower()} ({', '.join(conditions)}): {reason}"
        for (label, section, reason), conditions in failed.items()
    ]
    return scores
