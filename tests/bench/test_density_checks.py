"""The density of structures in the accuracy benchmark: what is missed must be added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from rtsmlm.bench.accuracy.contenders import our_localizers
from rtsmlm.bench.accuracy.deep_scene import DENSE, SPARSE, deep_scene
from rtsmlm.bench.accuracy.density_checks import ERROR, STATED, STRUCTURES, density, density_checks
from rtsmlm.bench.accuracy.hard_scenes import structure_scene
from rtsmlm.bench.accuracy.measure import measure, takes_part
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.protocols import RecallTable


@dataclass
class Told:
    """A localizer that knows the truth, finds a part of it, and states some recall."""

    truth: Localizations
    found: float
    stated: float
    max_local_per_um2 = 100.0
    neighbours = 0
    uses_all_cores = False
    name = "told"

    @property
    def recall(self) -> RecallTable:
        return np.array([[0.0, 1.0], [1.0 / self.stated] * 2])

    def warm_up(self, shape: tuple[int, int]) -> None:
        del shape

    def __call__(self, batch: FrameBatch, targets: slice = slice(None)) -> Localizations:
        here = self.truth.take(np.isin(self.truth.frame, batch.index[targets]))
        return here.take(np.random.default_rng(1).random(len(here)) < self.found)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return structure_scene(np.random.default_rng(3), 30, "uniform", 0.8, (1.3, 2000.0, 20.0))


def test_where_the_recall_is_true_the_density_is(scene: Scene) -> None:
    found = density(scene, Told(scene.truth, found=0.8, stated=0.8))

    assert found[STATED] == pytest.approx(1.0, abs=0.1)
    assert abs(found[ERROR]) < 3.0


def test_a_localizer_that_misses_more_than_it_states_is_found_out(scene: Scene) -> None:
    found = density(scene, Told(scene.truth, found=0.6, stated=1.0))

    assert found[STATED] == pytest.approx(0.6, abs=0.06)
    assert found[ERROR] < -3.0


def test_there_is_a_row_for_each_structure_and_no_peer() -> None:
    def rngs() -> Iterator[np.random.Generator]:
        yield from np.random.default_rng(0).spawn(9)

    checks = density_checks(rngs())
    (fit,) = our_localizers(["gaussian-mle"], [])

    class Peer:
        name, psf, is_peer = "peer", "round", True

    assert [check.condition.split(",")[0] for check in checks] == list(STRUCTURES)
    assert all(takes_part(check, fit) and not takes_part(check, Peer()) for check in checks)
    outcome = measure(checks[:1], [fit])
    assert {row.goal.figure for row in outcome.rows} == {STATED, ERROR}
    assert outcome.rows[0].values["gaussian-mle"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("per_frame", [DENSE, SPARSE])
def test_movies_in_depth_show_so_many_emitters(per_frame: float) -> None:
    scene = deep_scene(GaussianPsf(1.1), 1.1, np.random.default_rng(0), 100, per_frame)

    assert len(scene.truth) == pytest.approx(100 * per_frame, abs=1)
