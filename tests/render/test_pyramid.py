from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations
from rtsmlm.render import Filter, Pyramid, Renderer, Style, View
from rtsmlm.render.splat import MODES, Mode
from rtsmlm.render.store import CHUNK
from rtsmlm.render.tile_pool import TILE_PX

Make = Callable[[int], Localizations]
Open = Callable[..., Pyramid]


def whole(pyramid: Pyramid, nm: float, budget_ms: float | None = None) -> View:
    """The field of 8 x 6 um."""
    return pyramid.view(-50.0, -50.0, nm, (int(6000 / nm), int(8000 / nm)), budget_ms=budget_ms)


def one(x_nm: float, y_nm: float) -> Localizations:
    columns = {"frame": [0], "x_nm": [x_nm], "y_nm": [y_nm], "std_x_nm": [12], "std_y_nm": [12]}
    return Localizations.from_columns({name: np.array(v) for name, v in columns.items()})


@pytest.mark.parametrize("mode", MODES)
def test_every_zoom_shows_each_localization_once(
    mode: Mode, open_pyramid: Open, table: Make
) -> None:
    pyramid, rows = open_pyramid(style=Style(mode=mode)), table(20_000)
    inside = (np.abs(rows.x_nm - 3950) < 4000) & (np.abs(rows.y_nm - 2950) < 3000)

    pyramid.add(rows)

    assert 15_000 < inside.sum() == pyramid.n_inside < 20_000
    # Straight from the rows, single levels, between levels, and beyond the coarsest.
    for nm in (2.0, 2.5, 4.0, 5.0, 10.0, 12.5, 50.0, 100.0):
        view = whole(pyramid, nm)
        assert view.complete
        assert view.density.sum(dtype=np.float64) == pytest.approx(inside.sum(), rel=1e-5), nm


@pytest.mark.parametrize("mode", MODES)
def test_growing_and_built_at_once_are_the_same_image(
    mode: Mode, open_pyramid: Open, table: Make
) -> None:
    rows = table(CHUNK + 30_000)
    growing, at_once = (open_pyramid(style=Style(mode=mode, color="z_nm")) for _ in range(2))
    first = CHUNK - 5000
    growing.add(rows.take(slice(0, first)))
    for nm in (2.5, 5.0, 10.0):
        whole(growing, nm)
    for k in range(first, len(rows), 7000):
        growing.add(rows.take(slice(k, k + 7000)))
    at_once.add(rows)

    for nm in (10.0, 2.5, 7.0, 60.0, 2.0):
        grown, built = whole(growing, nm), whole(at_once, nm)
        scale = np.abs(built.planes).max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(grown.planes / scale, built.planes / scale, atol=1e-5)
        if mode == "histogram" and nm in (2.5, 10.0):
            np.testing.assert_array_equal(grown.density, built.density)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("nm", "within_px"), [(0.7, 0.5), (2.5, 0.5), (3.3, 1.0), (10.0, 0.5)])
def test_a_localization_is_drawn_where_it_is(
    mode: Mode, nm: float, within_px: float, open_pyramid: Open
) -> None:
    pyramid = open_pyramid(style=Style(mode=mode))
    pyramid.add(one(3333.3, 1234.5))
    x0_nm, y0_nm = 3333.3 - 71.7 * nm, 1234.5 - 67.1 * nm

    image = pyramid.view(x0_nm, y0_nm, nm, (140, 150)).density

    assert image.sum() == pytest.approx(1, rel=1e-5)
    y_px, x_px = (np.indices(image.shape) * image).sum(axis=(1, 2)) + 0.5
    if mode != "histogram":
        # Between levels, pixels are cut: what is cut is not spread evenly in truth.
        within_px *= 0.2
    assert x_px == pytest.approx(71.7, abs=within_px)
    assert y_px == pytest.approx(67.1, abs=within_px)


def test_tiles_and_the_image_of_a_run_agree(open_pyramid: Open, table: Make) -> None:
    pyramid, renderer = open_pyramid(), Renderer((60, 80), 100.0, 10.0, "gaussian")
    rows = table(20_000)
    pyramid.add(rows)
    renderer.add(rows)

    np.testing.assert_allclose(whole(pyramid, 10.0).density, renderer.image(), atol=1e-4)


def test_a_moved_window_shows_the_moved_image(open_pyramid: Open, table: Make) -> None:
    pyramid = open_pyramid()
    pyramid.add(table(20_000))
    full = whole(pyramid, 5.0).density

    part = pyramid.view(-50.0 + 5 * 300, -50.0 + 5 * 217, 5.0, (400, 500)).density
    outside = pyramid.view(-50.0 - 5 * 20, -50.0 + 5 * 1100, 5.0, (400, 500)).density

    np.testing.assert_allclose(part, full[217:617, 300:800], atol=1e-4)
    np.testing.assert_allclose(outside[:100, 20:], full[1100:1200, :480], atol=1e-4)
    assert not outside[100:].any()
    assert not outside[:, :20].any()
    assert not pyramid.view(1e6, 1e6, 5.0, (40, 50)).density.any()


def test_little_memory_for_tiles_changes_only_what_is_rebuilt(
    open_pyramid: Open, table: Make
) -> None:
    plenty, little = open_pyramid(), open_pyramid(tile_bytes=20 * 4 * TILE_PX**2)
    rows = table(20_000)
    plenty.add(rows)
    little.add(rows)

    for k in range(12):
        window = (600.0 * k, 400.0 * k, 2.5, (300, 400))
        np.testing.assert_allclose(
            little.view(*window).density, plenty.view(*window).density, atol=1e-5
        )
        assert little.nbytes <= plenty.nbytes
    # A whole field of the finest tiles does not fit: it is shown coarser, and adds up.
    assert whole(little, 2.5).density.sum() == pytest.approx(little.n_inside, rel=1e-4)
    assert little.nbytes - plenty.nbytes < 0


def test_over_budget_a_coarser_image_stands_in_and_then_the_fine_one(
    open_pyramid: Open, table: Make
) -> None:
    hurried, patient = open_pyramid(), open_pyramid()
    rows = table(20_000)
    hurried.add(rows)
    patient.add(rows)
    hurried.overview()
    exact = whole(patient, 2.5).density

    first = whole(hurried, 2.5, budget_ms=0.0)
    sums, calls = [first.density.sum(dtype=np.float64)], 1
    while not (view := whole(hurried, 2.5, budget_ms=0.0)).complete:
        sums.append(view.density.sum(dtype=np.float64))
        calls += 1
        # What comes in meanwhile is in the tiles that are there, and in those to come.
        if calls == 5:
            hurried.add(one(3333.3, 1234.5))
            patient.add(one(3333.3, 1234.5))

    assert not first.complete
    assert calls > 5
    assert sums == pytest.approx([rows_inside(rows)] * len(sums), abs=10)
    np.testing.assert_allclose(view.density, whole(patient, 2.5).density, atol=1e-5)
    assert np.abs(view.density - exact).max() > 1e-3


def rows_inside(rows: Localizations) -> int:
    return int(((np.abs(rows.x_nm - 3950) < 4000) & (np.abs(rows.y_nm - 2950) < 3000)).sum())


@pytest.mark.parametrize(
    "shown",
    [
        Filter(std_nm=(5, 20)),
        Filter(photons=(300, 2000), z_nm=(-100, 250)),
        Filter(frame=(100, 15_000), min_probability=0.4),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_filter_shows_what_the_table_alone_would(
    shown: Filter, mode: Mode, open_pyramid: Open, table: Make
) -> None:
    rows = table(20_000)
    keep = np.ones(len(rows), np.bool_)
    for name, column in (("std_nm", "std_x_nm"), ("std_nm", "std_y_nm"), ("photons", "photons"),
                         ("frame", "frame"), ("z_nm", "z_nm")):  # fmt: skip
        limits = getattr(shown, name) or (-np.inf, np.inf)
        keep &= (getattr(rows, column) >= limits[0]) & (getattr(rows, column) <= limits[1])
    keep &= rows.probability >= shown.min_probability
    filtered, chosen = (open_pyramid(style=Style(mode=mode)) for _ in range(2))
    filtered.add(rows.take(slice(0, 9000)))
    before = whole(filtered, 10.0).density.sum()

    filtered.restyle(filter=shown)
    whole(filtered, 10.0)
    filtered.add(rows.take(slice(9000, None)))
    chosen.add(rows.take(keep))

    assert 0 < chosen.n_inside < 0.8 * filtered.n_inside
    np.testing.assert_allclose(
        whole(filtered, 10.0).density, whole(chosen, 10.0).density, atol=1e-4
    )
    filtered.restyle(filter=Filter())
    assert whole(filtered, 10.0).density.sum() > before


def test_hue_is_the_mean_value_and_leaves_the_density_alone(open_pyramid: Open) -> None:
    plain, colored = open_pyramid(), open_pyramid(style=Style(color="z_nm"))
    n = 3000
    x_nm = np.linspace(100, 7900, n)
    rows = Localizations.from_columns(
        {"frame": np.zeros(n), "x_nm": x_nm, "y_nm": np.full(n, 2000.0), "z_nm": x_nm / 10 - 400}
    )
    plain.add(rows)
    colored.add(rows)

    view = whole(colored, 10.0)

    np.testing.assert_allclose(view.density, whole(plain, 10.0).density, rtol=1e-6)
    assert view.value is not None
    line = view.value[205]
    centres_nm = (np.arange(800) + 0.5) * 10 - 50
    np.testing.assert_allclose(line[30:770], centres_nm[30:770] / 10 - 400, atol=1.0)
    assert np.isnan(view.value[0]).all()


def test_what_is_not_known_gets_past_no_limit(open_pyramid: Open) -> None:
    pyramid = open_pyramid()
    pyramid.add(
        Localizations.from_columns({k: np.full(5, 700.0) for k in ("frame", "x_nm", "y_nm")})
    )
    assert whole(pyramid, 10.0).density.sum() == pytest.approx(5, rel=1e-5)

    pyramid.restyle(filter=Filter(photons=(0, 1e9)))

    assert not whole(pyramid, 10.0).density.any()


def test_clearing_starts_anew(open_pyramid: Open, table: Make) -> None:
    pyramid = open_pyramid()
    pyramid.add(table(5000))
    assert whole(pyramid, 10.0).density.any()
    version = pyramid.version

    pyramid.clear()

    assert (pyramid.n_inside, pyramid.version) == (0, version + 1)
    assert not whole(pyramid, 10.0).density.any()


def test_looking_while_rows_are_added_shows_whole_batches(open_pyramid: Open) -> None:
    pyramid = open_pyramid(style=Style(mode="histogram"))
    rng = np.random.default_rng(3)
    batch = Localizations.from_columns(
        {"frame": np.zeros(1000), "x_nm": rng.uniform(0, 7900, 1000),
         "y_nm": rng.uniform(0, 5900, 1000)}
    )  # fmt: skip
    pyramid.add(batch)
    n_added = [1]
    enough = threading.Event()

    def add() -> None:
        while not enough.wait(0.001):  # as a run does: not without a pause
            pyramid.add(batch)
            n_added[0] += 1

    thread = threading.Thread(target=add)
    thread.start()
    sums = []
    while len(sums) < 30 or n_added[0] < 10:
        sums.append(whole(pyramid, 10.0).density.sum(dtype=np.float64) / 1000)
    enough.set()
    thread.join(10)

    assert len(set(sums)) > 1  # it did grow while it was looked at
    np.testing.assert_allclose(sums, np.round(sums), atol=1e-3)
    total = whole(pyramid, 10.0).density.sum(dtype=np.float64)
    assert total == pytest.approx(1000 * n_added[0])


def test_windows_and_limits_without_meaning_are_refused(open_pyramid: Open) -> None:
    pyramid = open_pyramid()

    with pytest.raises(ConfigError, match="window of 0 x 10"):
        pyramid.view(0, 0, 1.0, (0, 10))
    with pytest.raises(ConfigError, match="positive size"):
        pyramid.view(0, 0, 0.0, (10, 10))
    with pytest.raises(ConfigError, match="lower limit first"):
        Filter(photons=(10, 5))
    with pytest.raises(ConfigError, match="from 0 to 1"):
        Filter(min_probability=float("nan"))
