"""Windows of frames: the planes are those of whole frames, and rows lie where they lie there."""

from __future__ import annotations

import numpy as np

from rtsmlm.models.flagship.decode import rows_of
from rtsmlm.models.flagship.planes import PLANES, PlaneMaker
from rtsmlm.models.flagship.window_decode import FlagshipWindowDecoder
from rtsmlm.models.flagship.window_planes import WindowPlanes
from rtsmlm.models.inputs import context_of
from rtsmlm.models.rows import DEFAULTS, Row

SHAPE, SIDE = (64, 80), 32


def readonly(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def test_planes_of_windows_are_cut_out_of_those_of_whole_frames(rng: np.random.Generator) -> None:
    frames = readonly(rng.poisson(130, (4, *SHAPE)).astype(np.uint16))
    maps = (
        rng.uniform(95, 105, SHAPE).astype(np.float32),
        rng.uniform(0.4, 0.6, SHAPE).astype(np.float32),
        rng.uniform(1, 9, SHAPE).astype(np.float32),
    )
    # The third frame was lost: it is nobody's neighbour, and its own are not there.
    context = context_of(np.array([3, 4, 6, 7]))
    windows = np.array([[0, 8, 16], [1, 0, 48], [3, 32, 0], [2, 24, 40]], dtype=np.int32)
    whole = PlaneMaker(4, maps)(frames[[0, 0, 1, 2, 3, 3]], context)

    front_end = WindowPlanes(maps)
    front_end.begin(frames, windows)
    planes = np.full((6, SIDE // 2, SIDE // 2, PLANES), np.nan, dtype=np.float32)
    front_end(frames, context, windows, planes)

    for (k, top, left), found in zip(windows, planes, strict=False):
        rows = slice(top // 2, (top + SIDE) // 2)
        columns = slice(left // 2, (left + SIDE) // 2)
        np.testing.assert_allclose(found, whole[k, rows, columns], atol=1e-5)
    assert np.isnan(planes[4:]).all()  # nothing is written behind the last window


def test_rows_of_windows_lie_where_those_of_the_whole_frame_lie(rng: np.random.Generator) -> None:
    maps = rng.normal(-6.0, 1.0, (1, 40, SHAPE[0] // 2, SHAPE[1] // 2)).astype(np.float32)
    maps[0, 0, 11, 13] = maps[0, 3, 15, 30] = 4.0
    shape = (SHAPE[0] - 3, SHAPE[1] - 3)
    whole = rows_of(maps, shape, axial=False, settings=DEFAULTS)[0]
    windows = np.array([[0, 8, 16], [0, 16, 48]], dtype=np.int32)
    parts = np.stack(
        [maps[0, :, t // 2 : t // 2 + 16, x // 2 : x // 2 + 16] for _, t, x in windows]
    )

    rows, owner = FlagshipWindowDecoder(shape, axial=False, settings=DEFAULTS)(parts, windows)

    assert owner.tolist() == [0, 1]
    assert len(whole) == 2
    for column in (Row.X, Row.Y, Row.PHOTONS, Row.STD_X):
        np.testing.assert_allclose(rows[:, column], whole[:, column], rtol=1e-5)


def test_more_rows_than_there_is_room_for_at_first_are_all_found(rng: np.random.Generator) -> None:
    n = 300
    maps = np.full((n, 40, 16, 16), -9.0, dtype=np.float32)
    maps[:, 0, ::2, ::2] = 5.0  # 64 emitters in each window, more than 4096 in all
    windows = np.zeros((n, 3), dtype=np.int32)

    rows, owner = FlagshipWindowDecoder(SHAPE, axial=False, settings=DEFAULTS)(maps, windows)

    assert len(rows) == 64 * n
    assert np.bincount(owner).tolist() == [64] * n
