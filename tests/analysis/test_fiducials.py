"""Fiducials are found among blinking emitters, followed, and forgotten when they are gone."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.fiducials import Fiducials, combined

N_FRAMES = 50
BEADS = np.array([[1000.0, 1000.0, 0.0], [3000.0, 2000.0, 100.0], [2000.0, 4000.0, -50.0]])


def _block(
    rng: np.random.Generator, beads: np.ndarray, seen: float = 1.0, std_nm: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return places and frames of beads, each seen in a part of the frames."""
    frame = np.repeat(np.arange(N_FRAMES), len(beads)).astype(np.float64)
    places = np.tile(beads, (N_FRAMES, 1)) + rng.normal(0, std_nm, (N_FRAMES * len(beads), 3))
    kept = rng.random(len(frame)) < seen
    return places[kept], frame[kept]


def _proven(rng: np.random.Generator, beads: np.ndarray = BEADS) -> Fiducials:
    fiducials = Fiducials()
    for _ in range(6):
        places, frame = _block(rng, beads)
        _, _, theirs = fiducials.measure(places, N_FRAMES, np.zeros(3))
        fiducials.find(places[~theirs], frame[~theirs])
    return fiducials


@pytest.mark.parametrize(("seen", "found"), [(1.0, 3), (0.9, 3), (0.5, 0)])
def test_what_is_on_in_most_frames_is_a_fiducial(
    rng: np.random.Generator, seen: float, found: int
) -> None:
    fiducials = Fiducials()

    fiducials.find(*_block(rng, BEADS, seen))

    assert len(fiducials.places_nm) == found


def test_one_on_the_border_of_cells_is_found_once(rng: np.random.Generator) -> None:
    fiducials = Fiducials()

    fiducials.find(*_block(rng, np.array([[1000.0, 2000.0, 0.0]]), std_nm=8.0))

    assert len(fiducials.places_nm) == 1
    assert np.abs(fiducials.places_nm[0, :2] - [1000, 2000]).max() < 4


def test_an_emitter_that_is_on_for_a_block_is_none(rng: np.random.Generator) -> None:
    fiducials = Fiducials()
    fiducials.find(*_block(rng, BEADS[:1]))

    assert len(fiducials) == 0
    assert len(_proven(rng)) == 3


def test_many_emitters_in_one_place_are_none(rng: np.random.Generator) -> None:
    places = rng.uniform(0, 140, (4 * N_FRAMES, 3))
    fiducials = Fiducials()

    fiducials.find(places, np.repeat(np.arange(N_FRAMES), 4).astype(np.float64))

    assert not len(fiducials.places_nm)


def test_they_state_the_drift_as_well_as_their_rows_allow(rng: np.random.Generator) -> None:
    fiducials = _proven(rng)
    drift = np.array([12.0, -7.0, 30.0])
    places, _ = _block(rng, BEADS + drift)

    found, variance, theirs = fiducials.measure(places, N_FRAMES, np.array([10.0, -5.0, 20.0]))

    assert theirs.all()
    assert np.abs(found - drift).max() < 2
    assert (np.sqrt(variance) < 1).all()


def test_one_that_moves_by_itself_is_outvoted(rng: np.random.Generator) -> None:
    fiducials = _proven(rng)
    moved = BEADS.copy()
    moved[0, 0] += 60
    places, _ = _block(rng, moved)

    found, _, _ = fiducials.measure(places, N_FRAMES, np.zeros(3))

    assert np.abs(found).max() < 2


def test_one_that_bleaches_is_forgotten_and_the_others_go_on(rng: np.random.Generator) -> None:
    fiducials = _proven(rng)

    for _ in range(4):
        places, _ = _block(rng, BEADS[1:])
        fiducials.measure(places, N_FRAMES, np.zeros(3))

    assert len(fiducials) == 2


def test_their_places_are_known_better_the_longer_they_are_seen(rng: np.random.Generator) -> None:
    fiducials = _proven(rng)
    for _ in range(50):
        fiducials.learn(_block(rng, BEADS)[0])

    order = np.argsort(fiducials.places_nm[:, 0])
    assert np.abs(fiducials.places_nm[order] - BEADS[[0, 2, 1]]).max() < 0.5


def test_two_measurements_are_weighted_by_their_variances() -> None:
    none, one = np.full(3, np.inf), np.ones(3)

    mean, variance = combined((np.zeros(3), one), (np.full(3, 4.0), 3 * one))
    alone, _ = combined((np.zeros(3), none), (np.full(3, 4.0), one))
    neither, unknown = combined((np.full(3, 7.0), none), (np.zeros(3), none))

    assert mean == pytest.approx([1.0, 1.0, 1.0])
    assert variance == pytest.approx([0.75] * 3)
    assert alone == pytest.approx([4.0] * 3)
    assert neither.tolist() == [7, 7, 7]
    assert np.isinf(unknown).all()
