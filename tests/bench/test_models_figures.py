"""Figures of the open benchmark on answers whose figures can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.bench.accuracy.figures import EFFICIENCY, JACCARD, MAD_Z, RMSE, STD_Z
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.models import box_figures as box
from rtsmlm.bench.models.box_scenes import plane_boxes
from rtsmlm.bench.models.box_sets import judge
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.image_figures import CORRELATION, SSIM, histogram, image_figures, peaks
from rtsmlm.bench.models.pupil_spots import PupilSpots
from rtsmlm.bench.models.row_figures import (
    AXIAL_RMSE,
    BIAS_X,
    BIAS_Y,
    BIAS_Z,
    PRECISION,
    RECALL,
    row_figures,
)
from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting import boxes
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.simulation.optics import OpticsSection

PIXEL_NM = 100.0


def rows(places: list[tuple[float, float, float]], std_nm: float = 5.0) -> Localizations:
    x, y, z = np.array(places).T
    std = np.full(len(x), std_nm)
    columns = {"x_nm": x, "y_nm": y, "z_nm": z, "photons": np.full(len(x), 1000.0)}
    stds = {"std_x_nm": std, "std_y_nm": std, "std_z_nm": std}
    return Localizations.from_columns({"frame": np.zeros(len(x), np.int64), **columns, **stds})


def scene(truth: Localizations) -> Scene:
    frames = np.zeros((1, 64, 64), dtype=np.uint16)
    return Scene(
        batch=FrameBatch.from_pixels(frames),
        truth=truth,
        calibration=CameraCalibration(pixel_nm=PIXEL_NM),
        sigma_nm=110.0,
    )


FOUR = [(1000.0, 1000.0, 0.0), (2000.0, 2000.0, 50.0), (3000.0, 3000.0, -50.0), (4000.0, 4000.0, 0)]


def test_three_of_four_with_one_made_up_are_a_jaccard_index_of_three_fifths() -> None:
    found = rows([*((x + 10, y, z) for x, y, z in FOUR[:3]), (5000.0, 1000.0, 0.0)])

    figures = row_figures(scene(rows(FOUR)), found, axial=False)

    assert figures[JACCARD] == pytest.approx(3 / 5)
    assert figures[RECALL] == pytest.approx(75.0)
    assert figures[PRECISION] == pytest.approx(75.0)
    assert figures[RMSE] == pytest.approx(10.0, abs=1e-3)
    assert figures[EFFICIENCY] == pytest.approx(100 - np.hypot(40, 10), abs=1e-3)
    assert AXIAL_RMSE not in figures


def test_a_shift_of_all_rows_is_the_bias_and_is_gone_where_the_offset_is_taken_off() -> None:
    found = rows([(x + 20, y - 30, z + 60) for x, y, z in FOUR])

    as_it_is = row_figures(scene(rows(FOUR)), found, axial=True)
    without = row_figures(scene(rows(FOUR)), found, axial=True, subtract_offset=True)

    for figures in (as_it_is, without):
        bias = [figures[name] for name in (BIAS_X, BIAS_Y, BIAS_Z)]
        assert bias == pytest.approx([20.0, -30.0, 60.0], abs=1e-3)
    assert as_it_is[RMSE] == pytest.approx(np.hypot(20, 30), abs=1e-3)
    assert as_it_is[AXIAL_RMSE] == pytest.approx(60.0, abs=1e-3)
    assert without[RMSE] == pytest.approx(0.0, abs=1e-3)
    assert without[AXIAL_RMSE] == pytest.approx(0.0, abs=1e-3)


def test_errors_twice_as_large_as_stated_measure_two(rng: np.random.Generator) -> None:
    places = [(500.0 + 150 * (k % 36), 500.0 + 150 * (k // 36), 0.0) for k in range(36 * 36)]
    error = rng.normal(scale=10.0, size=(len(places), 2))
    found = rows([(x + dx, y + dy, 0.0) for (x, y, _), (dx, dy) in zip(places, error, strict=True)])

    figures = row_figures(scene(rows(places)), found, axial=False)

    assert figures[STD_Z] == pytest.approx(2.0, rel=0.06)
    assert figures[MAD_Z] == pytest.approx(2.0, rel=0.08)


def test_an_image_of_the_truth_is_like_it_in_any_unit_and_a_shifted_one_is_not() -> None:
    truth = histogram(rows(FOUR), (64, 64), 4, PIXEL_NM)
    shifted = histogram(rows([(x + 100, y, z) for x, y, z in FOUR]), (64, 64), 4, PIXEL_NM)

    same = image_figures(37.0 * truth, truth, 25.0)
    beside = image_figures(shifted, truth, 25.0)

    assert truth.sum() == 4
    assert same[CORRELATION] == pytest.approx(1.0)
    assert same[SSIM] == pytest.approx(1.0)
    assert beside[CORRELATION] < 0.1
    assert beside[SSIM] < 0.999 * same[SSIM]


def test_a_peak_lies_where_its_light_has_its_centre() -> None:
    image = np.zeros((256, 256), dtype=np.float32)
    image[40, 80], image[40, 81], image[200, 100] = 3.0, 1.0, 0.5

    found = peaks([image], np.array([7]), 4, PIXEL_NM, 1.0)

    # Fine pixels of 25 nm; the first is centred 37.5 nm left of the middle of the camera pixel.
    assert found.frame.tolist() == [7]
    assert found.x_nm[0] == pytest.approx(80.25 * 25 - 37.5)
    assert found.y_nm[0] == pytest.approx(40 * 25 - 37.5)


def answered(n: int, x: float, z_nm: float) -> np.ndarray:
    table = boxes.fit_table(n)
    table[:, [boxes.X, boxes.Y]] = 5.0
    table[:, boxes.X] += x
    table[:, boxes.Z] = z_nm
    table[:, boxes.PHOTONS], table[:, boxes.BACKGROUND] = 1100.0, 10.0
    table[:, [boxes.STD_X, boxes.STD_Y]] = 0.1
    table[:, boxes.STD_Z] = 20.0
    table[:, boxes.STATUS] = boxes.CONVERGED
    return table


def box_truth(n: int) -> box.Truth:
    zero, one = np.zeros(n), np.ones(n)
    values = {"x": zero, "y": zero, "z_nm": zero, "photons": 1000 * one, "background": 10 * one}
    bounds = {"x": 0.05 * one, "y": 0.05 * one, "z_nm": 20 * one}
    dipole = np.tile([0.6, 0.0, 0.8], (n, 1))
    return box.Truth(
        values=values, bounds=bounds, amplitudes_nm=np.zeros((n, 1)), modes=((2, 2),),
        dipoles=dipole,
    )  # fmt: skip


def test_errors_of_boxes_are_counted_in_bounds_and_lost_answers_do_not_count() -> None:
    table = answered(10, 0.1, 30.0)
    table[0, boxes.X] += 4.0

    figures = box.box_figures(table, {}, box_truth(10), box_px=11, pixel_nm=PIXEL_NM, axial=True)

    assert figures[box.ANSWERED] == pytest.approx(90.0)
    assert figures[box.LATERAL] == pytest.approx(10.0 / np.sqrt(2))
    assert figures[box.LATERAL + box.BOUND] == pytest.approx(2.0 / np.sqrt(2))
    assert figures[box.AXIAL + box.BOUND] == pytest.approx(1.5)
    assert figures[box.LIGHT] == pytest.approx(10.0)
    assert np.isnan(figures[box.LIGHT + box.BOUND])


def test_a_fit_of_boxes_measures_one_against_their_bound(rng: np.random.Generator) -> None:
    figures = judge(Entrant(name="gaussian-mle"), plane_boxes(rng, 400))

    # 800 coordinates: one standard deviation is 2.5 %.
    assert figures[box.LATERAL + box.BOUND] == pytest.approx(1.0, abs=0.08)
    assert figures[box.LIGHT + box.BOUND] == pytest.approx(1.0, abs=0.12)
    assert figures[STD_Z] == pytest.approx(1.0, abs=0.08)
    assert figures[box.ANSWERED] > 99


def test_both_ends_of_a_dipole_are_the_same_orientation() -> None:
    x, y, z = 0.6, 0.0, 0.8
    moments = dict(zip(box.MOMENTS, (x * x, y * y, x * y, x * z, y * z), strict=True))
    extras = {name: np.full(5, value, np.float32) for name, value in moments.items()}
    extras["zernike_2_2_nm"] = np.full(5, 3.0, np.float32)
    truth = box_truth(5)
    assert truth.dipoles is not None
    turned = replace(truth, dipoles=-truth.dipoles)

    for case in (truth, turned):
        figures = box.box_figures(
            answered(5, 0.0, 0.0), extras, case, box_px=11, pixel_nm=PIXEL_NM, axial=True
        )
        assert figures[box.TURN] == pytest.approx(0.0, abs=0.1)
        assert figures[box.ZERNIKES] == pytest.approx(3.0)


def test_two_programs_draw_the_same_emitter_from_the_same_pupil() -> None:
    torch = pytest.importorskip("torch", reason="one of the two is in torch")
    from rtsmlm.models.simulation.pupil_layer import PupilLayer

    optics, modes = OpticsSection(), ((3, 1), (4, 0))
    shared = {"pixel_nm": 100.0, "box_px": 15, "modes": modes, "vectorial": True}
    place, amplitudes = (0.3, -0.2, 250.0), np.array([20.0, -10.0])
    dipole = np.array([0.6, 0.0, 0.8])

    ours = PupilSpots(optics.optics(), **shared)  # type: ignore[arg-type]
    layer = PupilLayer(optics.optics(), fine_per_px=4, points=56, **shared)  # type: ignore[arg-type]
    for axis in (None, dipole):
        drawn = ours(*place, amplitudes, axis)
        tensors = [torch.tensor([value]) for value in place]
        fixed = None if axis is None else torch.tensor(axis, dtype=torch.float32)[None]
        other = layer(*tensors, torch.tensor(amplitudes, dtype=torch.float32)[None], dipole=fixed)

        np.testing.assert_allclose(drawn, other[0].numpy(), atol=1e-4 * drawn.max())
        assert 0.5 < drawn.sum() < 1.0
