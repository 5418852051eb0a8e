"""Rows and metadata as Arrow: the same on the other side, and nothing foreign gets through."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_decoder import ArrowDecoder
from rtsmlm.files.tables.arrow_schema import (
    KEY,
    TABLE_VERSION,
    from_batch,
    metadata_of,
    schema,
    table_metadata,
    to_batch,
)
from rtsmlm.localizations import COLUMN_DTYPES, UNITS, Localizations

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("aé ", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=6,
)


def table(rng: np.random.Generator, n: int) -> Localizations:
    return Localizations.from_columns(
        {
            name: np.sort(rng.integers(0, 200, n))
            if name == "frame"
            else rng.uniform(0, 1 if name == "probability" else 200, n)
            for name in COLUMN_DTYPES
        }
    )


def assert_same(a: Localizations, b: Localizations) -> None:
    for name, column in a.columns().items():
        np.testing.assert_array_equal(getattr(b, name), column, err_msg=name)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc_", min_size=1), json_values, max_size=4))
def test_metadata_come_back_as_they_were_put(metadata: dict[str, Any]) -> None:
    metadata.pop("table_version", None)

    assert metadata_of(schema(metadata)) == metadata


def test_every_column_states_its_unit_and_forbids_nulls() -> None:
    made = schema()

    assert made.names == list(COLUMN_DTYPES)
    for field in made:
        assert field.metadata[b"unit"].decode() == UNITS[field.name]
        assert not field.nullable


def test_metadata_without_a_form_in_json_are_refused_before_anything_is_written() -> None:
    with pytest.raises(TypeError):
        schema({"camera": object()})


@pytest.mark.parametrize(
    "stored", [b"", b"[", b"[1]", b'"text"', b"7", b'{"table_version": "new"}', b"\xff\xfe"]
)
def test_damaged_metadata_are_named(stored: bytes) -> None:
    with pytest.raises(FileFormatError, match="rtsmlm metadata of the table is damaged"):
        metadata_of(schema().with_metadata({KEY: stored}))


def test_a_table_of_a_later_version_asks_for_an_update() -> None:
    later = json.dumps({"table_version": TABLE_VERSION + 1}).encode()

    with pytest.raises(FileFormatError, match=f"of version {TABLE_VERSION + 1}.*update it"):
        metadata_of(schema().with_metadata({KEY: later}))


def test_a_table_of_another_program_has_no_metadata_of_ours() -> None:
    assert metadata_of(pa.schema([("x", pa.float32())])) == {}
    assert metadata_of(schema().with_metadata({b"pandas": b"{}"})) == {}


def test_rows_come_back_bit_for_bit_and_read_only(rng: np.random.Generator) -> None:
    rows = table(rng, 50)

    back = from_batch(to_batch(rows, schema()))

    assert_same(rows, back)
    assert not back.x_nm.flags.writeable, "it is the memory of the message"


@pytest.mark.parametrize("name", ["frame", "x_nm", "y_nm"])
def test_a_table_that_lacks_a_place_or_a_frame_is_none(rng: np.random.Generator, name: str) -> None:
    batch = to_batch(table(rng, 3), schema())

    with pytest.raises(FileFormatError, match=f"missing \\['{name}'\\]"):
        from_batch(batch.drop_columns([name]))


@pytest.mark.parametrize("column", ["x_nm", "photons", "frame"])
def test_nulls_and_other_types_are_refused_by_the_name_of_the_column(
    rng: np.random.Generator, column: str
) -> None:
    batch = to_batch(table(rng, 3), schema())
    k = batch.schema.get_field_index(column)
    kind = batch.schema.field(column).type
    for array in (pa.array([1, None, 3], kind), pa.array([1, 2, 3], pa.float64())):
        foreign = batch.set_column(k, column, array)
        with pytest.raises(FileFormatError, match=f"column {column} is"):
            from_batch(foreign)


def test_what_a_run_says_of_its_table_leaves_out_a_width_that_is_not_known() -> None:
    stated = table_metadata("run 7", (64, 48), 108.0, 131.5)
    unknown = table_metadata("run 7", (64, 48), 108.0, None)

    assert stated["psf_sigma_nm"] == 131.5
    assert stated["shape"] == [64, 48]
    assert "psf_sigma_nm" not in unknown
    assert json.loads(json.dumps(stated)) == stated


def stream(rng: np.random.Generator, sizes: list[int], *, end: bool = True) -> bytes:
    made = schema({"run": "a"})
    messages = [made.serialize()]
    messages += [to_batch(table(rng, n), made).serialize() for n in sizes]
    mark = b"\xff\xff\xff\xff\0\0\0\0" if end else b""
    return b"".join(message.to_pybytes() for message in messages) + mark


def test_a_growing_table_gives_rows_as_soon_as_their_last_byte_is_there(
    rng: np.random.Generator,
) -> None:
    made = schema()
    head, body = (
        made.serialize().to_pybytes(),
        to_batch(table(rng, 4), made).serialize().to_pybytes(),
    )
    decoder = ArrowDecoder()

    assert decoder.feed(head + body[:-1]) == []
    (rows,) = decoder.feed(body[-1:])

    assert len(rows) == 4
    assert decoder.n_bytes == len(head) + len(body)
    assert not decoder.ended


def test_the_metadata_are_known_before_the_first_row(rng: np.random.Generator) -> None:
    decoder = ArrowDecoder()

    decoder.feed(schema({"pixel_nm": 108.0}).serialize().to_pybytes())

    assert decoder.metadata == {"pixel_nm": 108.0}


def test_rows_outlive_the_bytes_they_came_in(rng: np.random.Generator) -> None:
    data = bytearray(stream(rng, [20]))
    (rows,) = ArrowDecoder().feed(bytes(data))
    before = rows.x_nm.copy()

    data[:] = bytes(len(data))
    del data

    np.testing.assert_array_equal(rows.x_nm, before)
    rows.x_nm[0] = 1.0  # a copy, so that it may be written to


def test_nothing_behind_the_end_of_a_table_is_read(rng: np.random.Generator) -> None:
    decoder = ArrowDecoder()

    batches = decoder.feed(stream(rng, [3, 5]) + b"whatever a disk leaves behind")

    assert [len(batch) for batch in batches] == [3, 5]
    assert decoder.ended
    assert decoder.feed(stream(rng, [3])) == []


@pytest.mark.parametrize("size", [-1, -(2**31), 1 << 30, 2**31 - 1])
def test_a_message_of_an_absurd_length_is_damage_and_not_waited_for(size: int) -> None:
    with pytest.raises(FileFormatError, match=f"message of {size} bytes"):
        ArrowDecoder().feed(b"\xff\xff\xff\xff" + size.to_bytes(4, "little", signed=True))


WHOLE = stream(np.random.default_rng(3), [6, 4, 8])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6
    ),
    st.integers(1, 400),
)
def test_damage_gives_tables_or_a_named_error_and_nothing_else(
    flips: list[tuple[int, int]], size: int
) -> None:
    data = bytearray(WHOLE)
    for position, value in flips:
        data[position] = value
    decoder, found = ArrowDecoder(), []

    try:
        for k in range(0, len(data), size):
            found += decoder.feed(bytes(data[k : k + size]))
    except FileFormatError:
        pass

    assert all(isinstance(rows, Localizations) for rows in found)
    assert sum(map(len, found)) <= 10_000
