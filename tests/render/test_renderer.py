from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from numpy.typing import ArrayLike

from rtsmlm.localizations import Localizations
from rtsmlm.render import Renderer
from rtsmlm.render.renderer import MOST_PIXELS
from rtsmlm.render.splat import MODES, Mode, draw


def rows(x_nm: ArrayLike, y_nm: ArrayLike, std_nm: ArrayLike = 12.0) -> Localizations:
    x, y, std = np.broadcast_arrays(np.atleast_1d(x_nm), y_nm, std_nm)
    columns = {"frame": np.zeros(len(x)), "x_nm": x, "y_nm": y, "std_x_nm": std, "std_y_nm": std}
    return Localizations.from_columns(columns)


def anywhere(rng: np.random.Generator, n: int = 5000) -> Localizations:
    """Rows in and around a field of 32 x 40 pixels of 100 nm."""
    return rows(rng.uniform(-250, 4150, n), rng.uniform(-250, 3350, n), rng.uniform(0, 60, n))


@pytest.mark.parametrize("mode", MODES)
def test_the_image_sums_to_the_localizations_inside(mode: Mode, rng: np.random.Generator) -> None:
    renderer = Renderer((32, 40), 100.0, 10.0, mode)
    table = anywhere(rng)
    inside = (np.abs(table.x_nm - 1950) < 2000) & (np.abs(table.y_nm - 1550) < 1600)

    renderer.add(table)

    assert renderer.shape == (320, 400)
    assert renderer.n_inside == inside.sum() > 3000
    assert renderer.image().sum(dtype=np.float64) == pytest.approx(inside.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("mode", "within_nm"), [("histogram", 5), ("shifted-histogram", 0.01), ("gaussian", 0.1)]
)
def test_the_centre_of_mass_is_where_the_localization_is(mode: Mode, within_nm: float) -> None:
    renderer = Renderer((32, 32), 100.0, 10.0, mode)

    renderer.add(rows(1503.7, 708.2))

    image = renderer.image()
    y_px, x_px = (np.indices(image.shape) * image).sum(axis=(1, 2))
    # Image pixel k is centred at (k + 0.5) * 10 nm from the corner, which lies at -50 nm.
    assert (x_px + 0.5) * 10 - 50 == pytest.approx(1503.7, abs=within_nm)
    assert (y_px + 0.5) * 10 - 50 == pytest.approx(708.2, abs=within_nm)


def test_a_localization_at_the_centre_of_an_image_pixel_fills_only_that_pixel() -> None:
    renderer = Renderer((8, 8), 100.0, 10.0)

    renderer.add(rows(-45.0, 745.0))

    image = renderer.image()
    assert image[79, 0] == 1
    assert np.count_nonzero(image) == 1


@pytest.mark.parametrize(("stated_nm", "drawn_nm"), [(20, 20), (40, 40), (500, 100)])
def test_a_gaussian_is_as_wide_as_the_stated_precision_within_limits(
    stated_nm: float, drawn_nm: float
) -> None:
    renderer = Renderer((32, 32), 100.0, 5.0, "gaussian")

    renderer.add(rows(1500.0, 1500.0, stated_nm))

    profile = renderer.image().sum(axis=0)
    x_nm = (np.arange(len(profile)) + 0.5) * 5 - 50
    width_nm = np.sqrt((profile * (x_nm - 1500) ** 2).sum())
    # What lies beyond three sigma is cut off, 1.3 % of the width, and a pixel has a width too.
    expected_nm = np.hypot(drawn_nm * 0.9866, 5 / np.sqrt(12))
    assert width_nm == pytest.approx(expected_nm, rel=0.002)


@pytest.mark.parametrize("std_nm", [0.0, np.nan, -1.0, 1e-9, np.inf])
def test_absurd_precisions_still_draw_one_finite_localization(std_nm: float) -> None:
    renderer = Renderer((32, 32), 100.0, 10.0, "gaussian")

    renderer.add(rows(1500.0, 1500.0, std_nm))

    assert renderer.image().sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_rows_without_finite_position_and_empty_batches_change_nothing(mode: Mode) -> None:
    renderer = Renderer((32, 32), 100.0, 10.0, mode)

    renderer.add(Localizations.empty())
    renderer.add(rows([np.nan, 5.0, np.inf, 1e30], [5.0, np.nan, 5.0, -np.inf]))

    assert renderer.n_inside == 0
    assert not renderer.image().any()


@pytest.mark.parametrize("mode", MODES)
def test_batches_and_one_table_give_the_same_image(mode: Mode, rng: np.random.Generator) -> None:
    table = anywhere(rng)
    at_once, in_batches = (Renderer((32, 40), 100.0, 10.0, mode) for _ in range(2))

    at_once.add(table)
    for k in range(0, len(table), 700):
        in_batches.add(table.take(slice(k, k + 700)))

    # Gaussians are not added in the order of the rows, and rounding tells.
    rtol = 1e-5 if mode == "gaussian" else 0
    np.testing.assert_allclose(at_once.image(), in_batches.image(), rtol=rtol, atol=rtol)
    assert at_once.n_inside == in_batches.n_inside > 3000


def test_an_image_too_large_for_memory_gets_coarser_pixels_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "rtsmlm"):
        renderer = Renderer((2304, 2304), 108.0, 5.0)

    assert 27 < renderer.image_pixel_nm * renderer.shape[0] / 2304 / 4 < 27.1
    assert renderer.shape[0] * renderer.shape[1] <= MOST_PIXELS
    assert "too large" in caplog.text


def test_rows_that_share_read_only_memory_compile_nothing_new(rng: np.random.Generator) -> None:
    table = anywhere(rng)
    for column in table.columns().values():
        column.flags.writeable = False

    for mode in MODES:
        Renderer((32, 40), 100.0, 10.0, mode).add(table)
        Renderer((32, 40), 100, 10, mode).add(table.take(slice(None, None, 3)))

    assert len(draw.signatures) == 1


def test_an_image_asked_for_while_rows_are_added_is_never_half_a_batch(
    rng: np.random.Generator,
) -> None:
    renderer = Renderer((32, 40), 100.0)
    batch = rows(rng.uniform(0, 3900, 1000), rng.uniform(0, 3100, 1000))
    renderer.add(batch)

    def add() -> None:
        for _ in range(2000):
            renderer.add(batch)

    thread = threading.Thread(target=add)
    thread.start()
    sums = []
    while thread.is_alive():
        sums.append(renderer.image().sum(dtype=np.float64) / 1000)
    thread.join(10)

    assert len(sums) > 1
    np.testing.assert_allclose(sums, np.round(sums), atol=1e-3)
    assert renderer.n_inside == 2_001_000
