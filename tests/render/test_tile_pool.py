"""Memory of tiles: no slot has two owners, pinned tiles stay, the one seen longest ago goes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.render.levels import TileRange
from rtsmlm.render.tile_pool import TILE_PX, TileName, TilePool

TILE_BYTES = 4 * TILE_PX**2
NAMES = [TileName(0, row, column) for row in range(3) for column in range(3)]


def pool_of(n: int) -> TilePool:
    return TilePool(n * TILE_BYTES, 1)


def test_memory_is_whole_tiles_of_all_planes_and_at_least_one() -> None:
    assert pool_of(5).capacity == 5
    assert TilePool(5 * TILE_BYTES, 2).capacity == 2
    assert TilePool(1, 4).tiles.shape == (1, 4, TILE_PX, TILE_PX)


def test_the_tile_seen_longest_ago_makes_room() -> None:
    pool = pool_of(2)
    a, b, c = NAMES[:3]
    pool.make(a, ())
    pool.make(b, ())
    pool.see(a)

    pool.make(c, ())

    assert pool.get(b) is None
    assert pool.get(a) is not None


def test_a_tile_asked_for_is_not_thereby_seen() -> None:
    pool = pool_of(2)
    pool.make(NAMES[0], ())
    pool.make(NAMES[1], ())

    pool.get(NAMES[0])
    pool.make(NAMES[2], ())

    assert pool.get(NAMES[0]) is None


def test_pinned_tiles_stay_and_without_room_there_is_no_tile() -> None:
    pool = pool_of(2)
    pool.make(NAMES[0], ())
    pool.make(NAMES[1], ())

    assert pool.make(NAMES[2], pinned=set(NAMES[:2])) is None
    assert pool.take(pinned=set(NAMES[:2])) is None
    assert pool.make(NAMES[2], pinned={NAMES[0]}) is not None
    assert pool.get(NAMES[0]) is not None


def test_a_remade_tile_is_not_complete() -> None:
    pool = pool_of(1)
    first = pool.make(NAMES[0], ())
    assert first is not None
    first.complete, first.n_chunks = True, 3

    again = pool.make(NAMES[1], ())

    assert again is not None
    assert again.slot == first.slot
    assert (again.complete, again.n_chunks) == (False, 0)
    assert pool.complete_by_level() == {}


@settings(deadline=None, max_examples=50)
@given(
    orders=st.lists(
        st.tuples(st.sampled_from(["make", "see", "take", "give", "clear"]), st.integers(0, 8)),
        max_size=60,
    )
)
def test_whatever_the_order_no_slot_has_two_owners_and_none_is_lost(
    orders: list[tuple[str, int]],
) -> None:
    pool = pool_of(4)
    borrowed: list[int] = []
    for verb, k in orders:
        name = NAMES[k]
        if verb == "make" and pool.get(name) is None:
            pool.make(name, ())
        elif verb == "see" and pool.get(name) is not None:
            pool.see(name)
        elif verb == "take" and (slot := pool.take(())) is not None:
            borrowed.append(slot)
        elif verb == "give" and borrowed:
            pool.give(borrowed.pop())
        elif verb == "clear":
            pool.clear()
        owned = [tile.slot for n in NAMES if (tile := pool.get(n)) is not None] + borrowed
        assert len(owned) == len(set(owned)) <= 4
        assert all(0 <= slot < 4 for slot in owned)

    for slot in borrowed:
        pool.give(slot)
    pool.clear()
    slots = [pool.take(()) for _ in range(4)]
    assert set(slots) == {0, 1, 2, 3}


@given(
    row=st.integers(0, 9),
    column=st.integers(0, 9),
    n_rows=st.integers(0, 7),
    n_columns=st.integers(0, 7),
)
def test_tiles_of_a_window_come_once_each_from_its_centre_outwards(
    row: int, column: int, n_rows: int, n_columns: int
) -> None:
    names = TileRange(2, row, column, n_rows, n_columns).names()

    assert len(set(names)) == len(names) == n_rows * n_columns
    middle = row + (n_rows - 1) / 2, column + (n_columns - 1) / 2
    off = [(n.row - middle[0]) ** 2 + (n.column - middle[1]) ** 2 for n in names]
    assert off == sorted(off)
