from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr

from rtsmlm.localizations import Localizations
from rtsmlm.render import Pyramid, Renderer, Style
from rtsmlm.render.store import CHUNK, LocalizationStore
from rtsmlm.render.weights import GAUSS_REACH

Make = Callable[[int], Localizations]
Open = Callable[..., Pyramid]


def one(x_nm: float, y_nm: float, std_nm: tuple[float, float]) -> Localizations:
    columns = {"frame": [0], "x_nm": [x_nm], "y_nm": [y_nm]}
    columns |= {"std_x_nm": [std_nm[0]], "std_y_nm": [std_nm[1]]}
    return Localizations.from_columns({name: np.array(v) for name, v in columns.items()})


def in_pixels(centre_nm: float, std_nm: float, n: int, *, cut: bool) -> np.ndarray:
    """Integrals of a Gaussian over pixels of 10 nm from -50 nm on, cut off at the reach or not."""
    z = (np.arange(n + 1) * 10 - 50 - centre_nm) / std_nm
    if not cut:
        return np.diff(ndtr(z))
    low, high = ndtr(-GAUSS_REACH), ndtr(GAUSS_REACH)
    return np.diff((ndtr(np.clip(z, -GAUSS_REACH, GAUSS_REACH)) - low) / (high - low))


@pytest.mark.parametrize("std_nm", [2, 2.5, 4, 8, 11.5, 11.7, 20, 24.9, 25.1, 40, 51.6, 52, 90])
def test_a_gaussian_is_its_integral_over_each_pixel(
    std_nm: float, rng: np.random.Generator
) -> None:
    for x_nm, y_nm, ratio in rng.uniform((1000, 800, 0.6), (1100, 900, 1), (20, 3)):
        x_nm, y_nm, narrow_nm = (float(np.float32(v)) for v in (x_nm, y_nm, ratio * std_nm))
        narrow_nm = max(narrow_nm, 2.0)
        renderer = Renderer((20, 24), 100.0, 10.0, "gaussian")
        renderer.add(one(x_nm, y_nm, (std_nm, narrow_nm)))
        image = renderer.image()

        for cut, within in ((True, 1e-4), (False, 0.01)):
            exact = np.outer(
                in_pixels(y_nm, narrow_nm, 200, cut=cut), in_pixels(x_nm, std_nm, 240, cut=cut)
            )
            assert np.abs(image - exact).max() < within * exact.max(), (x_nm, y_nm, cut)
        assert image.sum(dtype=np.float64) == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("color", ["none", "z_nm", "channel"])
@pytest.mark.parametrize("nm", [2.5, 5.0, 20.0])
def test_tiles_have_no_seams(nm: float, color: str, open_pyramid: Open, table: Make) -> None:
    pyramid = open_pyramid(style=Style(color=color))  # type: ignore[arg-type]
    rows = table(4000)
    pyramid.add(rows)
    renderer = Renderer((60, 80), 100.0, nm, "gaussian")
    renderer.add(rows)

    view = pyramid.view(-50.0, -50.0, nm, renderer.shape)

    np.testing.assert_allclose(view.density, renderer.image(), atol=2e-6)


def test_many_times_a_second_a_deep_zoom_is_shown_from_tiles(
    open_pyramid: Open, table: Make
) -> None:
    pyramid = open_pyramid()
    pyramid.add(table(CHUNK + 20_000))
    window = 3000.0, 2000.0, 1.0, (400, 500)

    straight = pyramid.view(*window)
    hurried = pyramid.view(*window, budget_ms=0.001)
    while not hurried.complete:
        hurried = pyramid.view(*window, budget_ms=0.001)
    unhurried = pyramid.view(*window, budget_ms=1e6)

    n = straight.density.sum(dtype=np.float64)
    assert hurried.density.sum(dtype=np.float64) == pytest.approx(n, rel=0.01)
    assert np.abs(hurried.density - straight.density).max() > 1e-4
    np.testing.assert_array_equal(unhurried.density, straight.density)


def test_ordering_a_chunk_holds_nothing_up(table: Make) -> None:
    pyramid = Pyramid((60, 80), 100.0)
    store = LocalizationStore(pyramid.field)
    pyramid.close()
    rows = store.pack(table(2 * CHUNK))
    took_ms = []
    for _ in range(6):
        store.put(rows, 0)
        start = time.thread_time()
        store.seal_if_full()
        took_ms.append(1000 * (time.thread_time() - start))

    assert len(store) == 6 * CHUNK
    # Of the thread, the least: others compute here too. A screen is drawn anew every 16 ms.
    assert min(took_ms) < 8


def test_rows_ordered_by_place_are_the_same_rows(table: Make) -> None:
    pyramid = Pyramid((60, 80), 100.0)
    store = LocalizationStore(pyramid.field)
    pyramid.close()
    rows = store.pack(table(2 * CHUNK))
    store.put(rows, 0)
    store.seal_if_full()

    slab = store.slabs[0]
    ordered, came = slab.tables[0], rows[:, :CHUNK]
    by_frame = np.argsort(ordered[7], kind="stable")
    np.testing.assert_array_equal(ordered[:, by_frame], came[:, np.argsort(came[7], kind="stable")])
    cells = store.cells((1000.0, 1000.0, 1001.0, 1001.0))
    assert cells is not None
    cell = cells[0] * cells[4] + cells[2]
    inside = ordered[:2, slab.starts[0, cell] : slab.starts[0, cell + 1]]
    assert inside.size > 0
    assert (np.abs(inside - 1000) <= store.cell_nm).all()
