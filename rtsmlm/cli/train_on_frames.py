"""`rtsmlm train --from ... --frames`: the flagship is adapted to a movie without truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from rtsmlm.cli.console import console, warn
from rtsmlm.cli.train import progress_shown
from rtsmlm.cli.train_from import name_of
from rtsmlm.errors import ConfigError
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import MANIFEST_NAME
from rtsmlm.offline.frame_adaptation import PSF_NAME, ROUNDS, STEPS, FrameAdaptation, Round
from rtsmlm.offline.frame_sample import sample_movie
from rtsmlm.settings.load import load


def adapt_to_frames(
    source: str, out: Path | None, movie: Path, config: Sequence[Path], overrides: Sequence[str]
) -> None:
    """Adapt a model to a movie and write its folder.

    Parameters
    ----------
    source
        Name or folder of the model.
    out
        Its new folder; None names it after the model.
    movie
        Frames without truth.
    config, overrides
        Camera, and the PSF width from which it starts.

    Raises
    ------
    ConfigError
        If the model cannot learn from frames, or the frames do not suffice.
    """
    sample = sample_movie(movie, load(config, overrides))
    for note in sample.notes:
        warn(note)
    work = FrameAdaptation(find_model(source), sample)
    folder = out or Path(f"{work.manifest.name}-adapted")
    if (folder / MANIFEST_NAME).is_file():
        raise ConfigError(f"{folder} holds a model already; give another folder with --out")
    with progress_shown("learning") as (stop, update):

        def show(found: Round) -> None:
            update(found.steps / (STEPS * ROUNDS), f"PSF {found.sigma_nm:.0f} nm")

        kept = work.run(stop, show)
    for found in work.rounds:
        mark = "  <- kept" if found is kept else ""
        console.print(
            f"step {found.steps:4}  PSF {found.sigma_nm:5.1f} nm  misfit {found.misfit:.4f}  "
            f"validity {found.excess:.2f}{mark}"
        )
    if kept is work.rounds[0]:
        console.print(
            "the validity meter finds nothing better than the model as it is; no model was written",
            soft_wrap=True,
        )
        return
    work.write(folder, name=name_of(folder, work.manifest))
    console.print(f"model    {escape(str(folder))}", soft_wrap=True)
    console.print(
        f"use      rtsmlm live -c {escape((folder / PSF_NAME).as_posix())} --set "
        f"localizer.name={escape(folder.resolve().as_posix())}",
        soft_wrap=True,
    )
