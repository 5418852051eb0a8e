"""Kept localizations: all of those in the field, found again by place, forgotten at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.localizations import Localizations
from rtsmlm.render.columns import COLUMNS, STD_X, STD_Y, X, Y
from rtsmlm.render.field import Field
from rtsmlm.render.store import CHUNK, SLAB, LocalizationStore
from rtsmlm.render.weights import MOST_STD_NM, UNKNOWN_STD_NM

FIELD = Field((60, 80), 100.0)


def filled(n_chunks: int) -> LocalizationStore:
    """Return a store of whole chunks of rows at random places."""
    rng = np.random.default_rng(2)
    store = LocalizationStore(FIELD)
    for _ in range(n_chunks):
        rows = np.zeros((COLUMNS, CHUNK), np.float32)
        rows[X], rows[Y] = rng.uniform(-50, 7949, CHUNK), rng.uniform(-50, 5949, CHUNK)
        store.put(rows, 0)
        store.seal_if_full()
    return store


STORE = filled(2)
POSITIONS = np.concatenate([slab.tables[: slab.n] for slab in STORE.slabs])[:, [X, Y]]


def test_rows_are_taken_up_to_the_end_of_a_chunk() -> None:
    store = LocalizationStore(FIELD)
    rows = np.zeros((COLUMNS, CHUNK + 100), np.float32)

    assert store.put(rows, 0) == CHUNK
    assert store.put(rows, CHUNK) == 0
    store.seal_if_full()
    assert store.put(rows, CHUNK) == 100
    assert len(store) == CHUNK + 100


def test_a_chunk_that_is_not_full_stays_open() -> None:
    store = LocalizationStore(FIELD)
    store.put(np.zeros((COLUMNS, 7), np.float32), 0)

    store.seal_if_full()

    assert (store.n_open, store.n_chunks, len(store)) == (7, 0, 7)


def test_a_localization_takes_40_bytes() -> None:
    assert (filled(3).nbytes - filled(1).nbytes) / (2 * CHUNK) == pytest.approx(40, rel=0.02)


def test_more_chunks_than_a_slab_go_on_in_another() -> None:
    store = LocalizationStore(FIELD)
    rows = np.zeros((COLUMNS, CHUNK), np.float32)
    for _ in range(SLAB + 1):
        store.put(rows, 0)
        store.seal_if_full()

    assert [slab.n for slab in store.slabs] == [SLAB, 1]
    assert store.count((-1e9, -1e9, 1e9, 1e9)) == len(store) == (SLAB + 1) * CHUNK


@settings(deadline=None, max_examples=50)
@given(
    left=st.floats(-2000, 9000),
    top=st.floats(-2000, 7000),
    width=st.floats(0, 5000),
    height=st.floats(0, 5000),
)
def test_no_row_in_a_box_is_missed_and_only_its_border_is_added(
    left: float, top: float, width: float, height: float
) -> None:
    x, y = POSITIONS[:, 0], POSITIONS[:, 1]

    def inside(border_nm: float) -> int:
        across = (x >= left - border_nm) & (x <= left + width + border_nm)
        along = (y >= top - border_nm) & (y <= top + height + border_nm)
        return int((across & along).sum())

    counted = STORE.count((left, top, left + width, top + height))

    assert inside(-0.01) <= counted <= inside(STORE.cell_nm + 0.01)


def test_beyond_the_field_there_are_no_cells() -> None:
    for box in ((8000.0, 0.0, 9000.0, 10.0), (0.0, -500.0, 10.0, -151.0)):
        assert STORE.cells(box) is None
        assert STORE.count(box) == 0


def test_the_widest_precision_is_known_within_what_is_drawn() -> None:
    store = LocalizationStore(FIELD)
    rows = np.full((COLUMNS, 3), np.nan, np.float32)
    store.put(rows, 0)
    assert store.most_std_nm == UNKNOWN_STD_NM

    rows[STD_X, 1], rows[STD_Y, 2] = 20.0, 40.0
    store.put(rows, 0)
    assert store.most_std_nm == 40.0

    rows[STD_Y, 0] = np.inf
    store.put(rows, 0)
    assert store.most_std_nm == MOST_STD_NM

    store.clear()
    assert (len(store), store.most_std_nm) == (0, UNKNOWN_STD_NM)


def test_only_rows_with_a_place_in_the_field_are_kept(
    table: Callable[[int], Localizations],
) -> None:
    rows = table(4000)
    rows.x_nm[:5], rows.y_nm[5:9] = np.nan, np.inf

    packed = FIELD.pack(rows)

    x, y = rows.x_nm, rows.y_nm
    inside = (x >= -50) & (x < 7950) & (y >= -50) & (y < 5950)
    assert 0 < inside.sum() < 4000
    np.testing.assert_array_equal(packed[X], x[inside])
    np.testing.assert_array_equal(packed[Y], y[inside])


@settings(deadline=None)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000), image_nm=st.floats(1, 500))
def test_an_image_covers_the_field_with_less_than_a_pixel_to_spare(
    height: int, width: int, image_nm: float
) -> None:
    field = Field((height, width), 100.0)

    shape = field.image_shape(image_nm)

    for pixels, size_nm in zip(shape, field.size_nm, strict=True):
        assert size_nm - 1e-5 * image_nm <= pixels * image_nm < size_nm + image_nm
    first_row, last_row, first, last = field.limits_px(-50.0, -50.0, image_nm)
    assert (first_row, first) == (0, 0)
    assert (last_row + 1, last + 1) == shape
