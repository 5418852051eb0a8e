"""lasers.csv: every row is on disk when `write` returns; damage is noticed."""

from __future__ import annotations

import csv
import math
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError, SinkError, printable
from rtsmlm.files.run.laser_log import COLUMNS, LaserLog, read_laser_log

texts = st.text("abc ,;'\"%µ激光\n\r\t", max_size=30)
"""What an adapter may answer."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lasers.csv"


def test_a_row_can_be_read_while_the_file_is_still_open(path: Path) -> None:
    log = LaserLog(path)
    try:
        log.write({"actuator": "activation", "sent": 1.25, "unit": "mW"})

        (row,) = read_laser_log(path)
    finally:
        log.close()

    assert (row["actuator"], row["sent"], row["unit"]) == ("activation", "1.25", "mW")
    assert row["dose"] == "", "what a row does not hold stays empty"


def test_rows_carry_the_time_at_which_they_were_written(path: Path) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log = LaserLog(path)
    log.write({"kind": "command"})
    log.close()
    after = datetime.now(UTC)

    (row,) = read_laser_log(path)

    assert before <= datetime.fromisoformat(row["time_utc"]) <= after


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(reason=texts, value=st.floats(allow_nan=True, allow_infinity=False, width=32))
def test_texts_come_back_printable_and_numbers_within_six_digits(
    path: Path, reason: str, value: float
) -> None:
    path.unlink(missing_ok=True)
    log = LaserLog(path)
    log.write({"reason": reason, "measured": value, "frame": 7, "state": None})
    log.close()

    (row,) = read_laser_log(path)

    assert row["reason"] == printable(reason)
    assert row["frame"] == "7"
    assert row["state"] == ""
    if math.isnan(value):
        assert row["measured"] == ""
    else:
        assert float(row["measured"]) == pytest.approx(value, rel=1e-5)


def test_a_second_opening_appends_without_a_second_header(path: Path) -> None:
    for number in range(3):
        log = LaserLog(path)
        log.write({"frame": number})
        log.close()

    assert [row["frame"] for row in read_laser_log(path)] == ["0", "1", "2"]
    assert path.read_text().count("time_utc") == 1


def test_a_file_that_was_made_and_left_empty_gets_its_header(path: Path) -> None:
    path.touch()
    log = LaserLog(path)
    log.write({"frame": 3})
    log.close()

    assert [row["frame"] for row in read_laser_log(path)] == ["3"]


def test_threads_that_write_at_once_tear_no_row(path: Path) -> None:
    log = LaserLog(path)

    def write(actuator: str) -> None:
        for number in range(100):
            log.write({"actuator": actuator, "frame": number, "reason": "x" * 200})

    threads = [threading.Thread(target=write, args=(f"laser {k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    rows = list(read_laser_log(path))
    assert len(rows) == 400
    assert all(row["reason"] == "x" * 200 for row in rows)
    for k in range(4):
        own = [row["frame"] for row in rows if row["actuator"] == f"laser {k}"]
        assert own == [str(number) for number in range(100)]


def test_an_unknown_column_is_refused_and_leaves_no_part_of_a_row(path: Path) -> None:
    log = LaserLog(path)
    with pytest.raises(SinkError, match="audit of the lasers cannot be written"):
        log.write({"colour": "blue"})
    log.write({"kind": "command"})
    log.close()

    assert [row["kind"] for row in read_laser_log(path)] == ["command"]


def test_a_closed_file_takes_no_rows_and_may_be_closed_again(path: Path) -> None:
    log = LaserLog(path)
    log.close()
    log.close()

    with pytest.raises(SinkError, match="cannot be written"):
        log.write({"kind": "command"})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "lasers.csv").mkdir()

    with pytest.raises(SinkError, match=r"audit file .*lasers\.csv cannot be written"):
        LaserLog(tmp_path / "lasers.csv")


@pytest.mark.parametrize(
    "content", [b"", b"time_utc,t_s\n1,2\n", b"\xff\xfe\x00", b"x" * 400_000, b"\0" * 100]
)
def test_a_file_of_another_kind_is_refused_by_name(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match=r"lasers\.csv"):
        list(read_laser_log(path))


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"lasers\.csv cannot be read"):
        list(read_laser_log(path))


def written(path: Path, n_rows: int) -> bytes:
    log = LaserLog(path)
    for number in range(n_rows):
        log.write({"frame": number, "sent": 0.5, "reason": 'asked for "more", got it'})
    log.close()
    return path.read_bytes()


def test_a_file_cut_anywhere_in_its_last_row_still_gives_the_rows_before(path: Path) -> None:
    whole = written(path, 3)
    last = whole[:-2].rindex(b"\n") + 1

    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        rows = list(read_laser_log(path))

        assert [row["frame"] for row in rows[:2]] == ["0", "1"]
        assert all(isinstance(text, str) for row in rows for text in row.values())
        assert all(tuple(row) == COLUMNS for row in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(junk=st.binary(min_size=1, max_size=300))
def test_damage_ends_in_rows_of_texts_or_in_a_named_error(path: Path, junk: bytes) -> None:
    header = ",".join(COLUMNS).encode() + b"\r\n"
    path.write_bytes(header + junk)

    try:
        rows = list(read_laser_log(path))
    except FileFormatError:
        return

    assert all(tuple(row) == COLUMNS for row in rows)
    assert all(isinstance(text, str) for row in rows for text in row.values())


def test_a_field_longer_than_any_of_ours_is_damage(path: Path) -> None:
    header = ",".join(COLUMNS).encode() + b"\r\n"
    path.write_bytes(header + b'"' + b"x" * (csv.field_size_limit() + 10))

    with pytest.raises(FileFormatError, match=r"lasers\.csv cannot be read"):
        list(read_laser_log(path))
