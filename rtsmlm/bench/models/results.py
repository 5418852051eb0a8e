"""What was measured, as it is kept in JSON: the page is drawn from it, and others send theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.folder import write_text
from rtsmlm.settings.base import Settings

FORMAT = 1
"""Raised with every change of the sets or of the figures: only equal ones may be compared."""


class Score(Settings):
    """Figures of one model on one set."""

    section: str
    condition: str
    model: str
    figures: dict[str, float | None]
    """By name; None where there is nothing to compute one from."""


class Speed(Settings):
    """How fast a model is on the machine of the results."""

    model: str
    engine: str
    what: str
    """Unit, such as frames/s at 256 x 256."""
    per_s: float


class ModelFacts(Settings):
    """What a manifest says of a model."""

    name: str
    task: str
    architecture: str = ""
    size: str = ""
    psf: str = ""
    parameters: int | None = None
    """None of a fit."""
    kmac_per_px: float | None = None
    """Thousand multiply-accumulates for a pixel of a frame, or of a box."""
    box_px: int | None = None
    version: str = ""
    origin: str = ""


class MachineFacts(Settings):
    """Where it was measured."""

    system: str
    processor: str
    cores: int
    load: float | None = None
    """Programs that ran beside it, by the load average of one minute at the start."""


class Results(Settings):
    """All that one call of the benchmark has measured."""

    format: int = FORMAT
    rtsmlm: str
    """Version."""
    command: str
    machine: MachineFacts
    seed: int
    quick: bool
    has_data: bool
    """Whether the reference data were there."""
    models: tuple[ModelFacts, ...] = ()
    scores: tuple[Score, ...] = ()
    speeds: tuple[Speed, ...] = ()
    notes: tuple[str, ...] = ()
    """What is left out, and why."""

    def figure(self, model: str, section: str, condition: str, figure: str) -> float:
        """Return one figure; NaN where there is none.

        Parameters
        ----------
        model, section, figure
            Names.
        condition
            Beginning of the name of the condition.
        """
        for score in self.scores:
            fits = score.model == model and score.section == section
            if fits and score.condition.startswith(condition):
                value = score.figures.get(figure)
                return math.nan if value is None else value
        return math.nan

    def speed(self, model: str, what: str) -> float:
        """Return the speed on the fastest engine; NaN where it was not measured."""
        found = [s.per_s for s in self.speeds if s.model == model and s.what == what]
        return max(found, default=math.nan)


def known(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Return figures for JSON, four digits of each; what is not finite becomes None."""
    return {
        name: float(f"{value:.4g}") if math.isfinite(value) else None
        for name, value in figures.items()
    }


def text(value: float, digits: int = 3) -> str:
    """Return a figure, without an exponent and with commas; a dash for none."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def save(results: Results, path: Path) -> None:
    """Write results as JSON."""
    write_text(path, results.model_dump_json(indent=1) + "\n")


def read(path: Path) -> Results:
    """Read results.

    Raises
    ------
    FileFormatError
        If the file cannot be read, or holds something else.
    """
    try:
        return Results.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        raise FileFormatError(
            f"{path} does not hold results of rtsmlm bench models: {fault}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot read the results {path}: {error}") from error


def merged(parts: Sequence[tuple[str, Results]]) -> Results:
    """Return results of several files as one: those of the first, and what the others add.

    Parameters
    ----------
    parts
        Name of each file, and its results. A figure that an earlier one has is not taken again.

    Raises
    ------
    FileFormatError
        If they were measured on other sets.
    """
    first_name, first = parts[0]
    models, scores, speeds = list(first.models), list(first.scores), list(first.speeds)
    notes = list(first.notes)
    for name, other in parts[1:]:
        if _sets(other) != _sets(first):
            raise FileFormatError(
                f"{name} was not measured on the sets of {first_name} (format, seed or --quick "
                "differ): measure again with the same version"
            )
        there = {model.name for model in models}
        new = [model for model in other.models if model.name not in there]
        names = {model.name for model in new}
        models += new
        measured = {(score.model, score.section, score.condition) for score in scores}
        scores += [s for s in other.scores if (s.model, s.section, s.condition) not in measured]
        speeds += [speed for speed in other.speeds if speed.model in names]
        if new and (other.machine.processor, other.rtsmlm) != (
            first.machine.processor,
            first.rtsmlm,
        ):
            notes.append(
                f"{', '.join(model.name for model in new)}: measured on {other.machine.processor}, "
                f"{other.machine.cores} cores, with rtsmlm {other.rtsmlm}"
            )
    return first.model_copy(
        update={
            "models": tuple(models),
            "scores": tuple(scores),
            "speeds": tuple(speeds),
            "notes": tuple(notes),
        }
    )


def _sets(results: Results) -> tuple[int, int, bool]:
    return results.format, results.seed, results.quick
