"""Painting: in pieces as at once, straight as through tiles, by one thread as by several."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.render import Filter, Style
from rtsmlm.render.draw_threads import DrawThreads
from rtsmlm.render.field import Field
from rtsmlm.render.painter import Level, Painter
from rtsmlm.render.splat import MODES, Mode
from rtsmlm.render.store import CHUNK, LocalizationStore
from rtsmlm.render.tile_pool import TILE_PX, Tile, TileName, TilePool

Make = Callable[[int], Localizations]
FIELD = Field((60, 80), 100.0)


@pytest.fixture(scope="module")
def store() -> LocalizationStore:
    """Return two sealed chunks and an open one."""
    rng = np.random.default_rng(4)
    n = 2 * CHUNK + 5000
    rows = Localizations.from_columns(
        {
            "frame": np.arange(n),
            "x_nm": rng.uniform(-50, 7949, n),
            "y_nm": rng.uniform(-50, 5949, n),
            "z_nm": rng.uniform(-400, 400, n),
            "std_x_nm": rng.gamma(4, 4, n),
            "std_y_nm": rng.gamma(4, 4, n),
            "photons": rng.gamma(2, 500, n),
        }
    )
    kept = LocalizationStore(FIELD)
    table = kept.pack(rows)
    at = 0
    while at < table.shape[1]:
        at += kept.put(table, at)
        kept.seal_if_full()
    return kept


@pytest.mark.parametrize("mode", MODES)
def test_a_tile_drawn_in_steps_is_the_tile_drawn_at_once(
    store: LocalizationStore, mode: Mode
) -> None:
    painter, level = Painter(store, Style(mode=mode, color="z_nm")), Level.of_field(FIELD, 20.0)
    pool = TilePool(2 * 8 * TILE_PX**2, 2)
    name = TileName(0, 0, 1)
    at_once, in_steps = Tile(0), Tile(1)

    painter.paint_tile(pool.tiles, name, at_once, level, math.inf)
    steps = 0
    while not in_steps.complete:
        before = in_steps.n_chunks
        painter.paint_tile(pool.tiles, name, in_steps, level, deadline_s=0.0)
        assert in_steps.complete or in_steps.n_chunks > before, "each step gets further"
        steps += 1

    assert at_once.complete
    assert at_once.n_chunks == in_steps.n_chunks == store.n_chunks
    scale = np.abs(pool.tiles[0]).max()
    np.testing.assert_allclose(pool.tiles[1], pool.tiles[0], atol=1e-5 * scale)


@pytest.mark.parametrize("mode", MODES)
def test_bands_of_several_threads_make_the_picture_of_one(
    store: LocalizationStore, mode: Mode
) -> None:
    painter = Painter(store, Style(mode=mode))
    seen = []
    for n in (1, 3):
        threads = DrawThreads(n)
        seen.append(painter.paint_screen((1234.5, 777.0), 7.0, (211, 190), threads))
        threads.close()

    assert seen[0].shape == (1, 211, 190)
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-4)


def test_a_screen_over_the_whole_field_shows_every_localization(store: LocalizationStore) -> None:
    threads = DrawThreads(2)
    planes = Painter(store, Style()).paint_screen((-100.0, -100.0), 50.0, (130, 170), threads)
    threads.close()

    assert planes.sum(dtype=np.float64) == pytest.approx(len(store), rel=1e-5)


def test_new_rows_added_to_a_complete_tile_are_what_painting_anew_gives(table: Make) -> None:
    store = LocalizationStore(FIELD)
    rows = store.pack(table(3000))
    painter, level = Painter(store, Style()), Level.of_field(FIELD, 40.0)
    pool = TilePool(2 * 4 * TILE_PX**2, 1)
    name, grown, anew = TileName(0, 0, 0), Tile(0), Tile(1)
    store.put(rows[:, :1000], 0)
    painter.paint_tile(pool.tiles, name, grown, level, math.inf)

    n_new = store.put(rows, 1000)
    painter.paint_newest(pool.tiles, [(name, grown)], level, n_new)
    painter.paint_tile(pool.tiles, name, anew, level, math.inf)

    np.testing.assert_allclose(pool.tiles[0], pool.tiles[1], atol=1e-5)


def test_a_level_has_tiles_for_the_whole_field_and_none_beyond() -> None:
    level = Level.of_field(FIELD, 10.0)

    assert level.shape_tiles == (math.ceil(600 / TILE_PX), math.ceil(800 / TILE_PX))
    assert level.limits_px.tolist() == [0, 599, 0, 799]


@pytest.mark.parametrize(("color", "n"), [("none", 1), ("z_nm", 2), ("frame", 2), ("channel", 4)])
def test_an_image_has_the_planes_of_its_colour(color: str, n: int) -> None:
    assert Style(color=color).n_planes == n  # type: ignore[arg-type]


def test_a_filter_of_the_style_holds_for_every_way_to_paint(store: LocalizationStore) -> None:
    style = Style(mode="histogram", filter=Filter(frame=(0, 999)))
    threads = DrawThreads(1)
    planes = Painter(store, style).paint_screen((-50.0, -50.0), 100.0, (60, 80), threads)

    assert planes.sum() == 1000
