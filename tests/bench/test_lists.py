"""The sets of few localizations: what a scene holds, and what its figures reward."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.image_sets import enters
from rtsmlm.bench.models.list_figures import CORRELATED, GAIN, MS_SSIM, OF_INPUT, list_figures
from rtsmlm.bench.models.list_scenes import FALSE_SHARE, N_FRAMES, list_scene
from rtsmlm.bench.models.list_sets import FEWER, drawn, list_trials


def network(*structures: str, taken: str = "localizations") -> Entrant:
    """Return an entrant of which only the manifest is looked at."""
    manifest = SimpleNamespace(
        task="image", inputs=(SimpleNamespace(name=taken),), structures=structures
    )
    return Entrant(name="net", folder=Path("net"), manifest=manifest)  # type: ignore[arg-type]


def test_the_first_frames_have_their_share_and_strays_are_of_other_structures(
    rng: np.random.Generator,
) -> None:
    scene = list_scene("nuclear-pores", rng, strays=("filaments",), crosstalk=0.1)

    first = scene.first(10)
    assert len(first) == pytest.approx(len(scene.rows) / 10, rel=0.1)
    assert first.frame.max() < N_FRAMES / 10
    strays = len(scene.rows) - len(scene.clean)
    assert strays > 1.2 * FALSE_SHARE * len(scene.clean)
    assert (np.diff(scene.rows.frame) >= 0).all()


def test_an_answer_between_few_and_all_gains_and_the_localizations_themselves_do_not(
    rng: np.random.Generator,
) -> None:
    scene = list_scene("filaments", rng)
    few, whole = (drawn(rows, 20.0) for rows in (scene.first(10), scene.clean))
    better = ndimage.gaussian_filter(whole, 1.0)

    same = list_figures(few, np.zeros_like(few), few, whole)
    good = list_figures(better, np.abs(better - whole), few, whole)

    assert same[GAIN] == pytest.approx(0.0, abs=1e-9)
    assert same[MS_SSIM] == same[MS_SSIM + OF_INPUT]
    assert good[GAIN] > 3.0
    assert good[MS_SSIM] > same[MS_SSIM]
    assert good[CORRELATED] > 0.1
    assert list_figures(7 * better, better, few, whole)[GAIN] == pytest.approx(good[GAIN])


def test_a_network_enters_the_sets_of_its_structures_and_no_set_of_frames() -> None:
    trials = list_trials(0, quick=False)

    conditions = {t.condition for t in trials if t.enters(network("filaments"))}

    assert conditions == {f"filaments, {n} x fewer" for n in FEWER} | {
        "filaments, 8 x fewer, 10% cross-talk"
    }
    assert not any(t.enters(network(taken="frames")) for t in trials)
    assert not enters(network("filaments"))
    assert enters(network(taken="frames"))
