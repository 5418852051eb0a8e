"""Tiles cover a field once, and nobody sees where one ends and the next begins."""

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines import openvino
from rtsmlm.engines.openvino import OpenVinoRuntime
from rtsmlm.engines.runtime import open_model
from rtsmlm.engines.tiles import MARGIN_CELLS, Tile, tiles_of
from rtsmlm.models.catalog import find_model
from rtsmlm.models.inputs import padded_maps
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.gaussian import render_spots

IDEAL = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.5)
CONTEXT = np.ones((1, 2), dtype=np.float32)


@pytest.mark.parametrize(("rows", "columns"), [(40, 200), (128, 128), (132, 700), (1024, 72)])
def test_every_cell_is_kept_once_and_far_from_the_ends_of_its_tile(rows: int, columns: int) -> None:
    kept = np.zeros((rows, columns), dtype=int)
    sizes = set()
    for tile in tiles_of(rows, columns, side=128):
        kept[tile.inner] += 1
        sizes.add(tile.size)
        for outer, inner, part, length in zip(
            tile.outer, tile.inner, tile.kept, (rows, columns), strict=True
        ):
            assert outer.start % 4 == 0
            assert inner.start - part.start == outer.start
            assert part.start >= MARGIN_CELLS or inner.start == 0
            assert outer.stop - inner.stop >= MARGIN_CELLS or inner.stop == length

    assert (kept == 1).all()
    assert len(sizes) == 1, "one compiled network serves all tiles"


@pytest.mark.parametrize("name", ["flagship-2d", "flagship-astig"])
def test_a_tiled_field_gives_the_rows_of_the_whole_one(
    name: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    shape = (264, 200)
    n = 300
    mean = render_spots(
        shape, rng.uniform(0, 199, n), rng.uniform(0, 263, n), np.full(n, 1500.0), 1.3, 20.0
    )
    frames = (rng.poisson(mean, (3, *shape)) + 100).astype(np.uint16)
    model = open_model(
        find_model(name),
        calibration=IDEAL,
        sigma_nm=130.0,
        curves=curves(),
        min_probability=0.3,
    )
    maps = padded_maps(IDEAL, shape)
    whole, tiled = (OpenVinoRuntime(model, precision="f32") for _ in range(2))
    whole.prepare(shape, maps)

    def small_tiles(rows: int, columns: int) -> list[Tile]:
        return tiles_of(rows, columns, side=64)

    monkeypatch.setattr(openvino, "tiles_of", small_tiles)
    tiled.prepare(shape, maps)

    (expected,) = whole.rows(frames, CONTEXT, alone=True)
    (found,) = tiled.rows(frames, CONTEXT, alone=True)
    assert len(expected) > 150
    assert len(tiles_of(132, 104, side=64)) > 20
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def curves() -> WidthCurves:
    axis = {"sigma0_nm": 130.0, "depth_nm": 400.0}
    return WidthCurves(
        x=WidthCurve(focus_nm=200.0, **axis),
        y=WidthCurve(focus_nm=-200.0, **axis),
        z_min_nm=-500.0,
        z_max_nm=500.0,
    )
