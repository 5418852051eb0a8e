"""lasers.csv: a row for all that was done, with times from the start of the run and units."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import SinkError
from rtsmlm.files.run.laser_log import COLUMNS, read_laser_log
from rtsmlm.safety.audit import LaserAudit
from rtsmlm.safety.records import AuditRow, CommandContext

START_NS = 1_000_000_000


def row(**changes: Any) -> AuditRow:
    values: dict[str, Any] = {
        "t_ns": START_NS + 2_500_000_000,
        "actuator": "activation",
        "kind": "command",
        "wanted": 12.0,
        "sent": 10.0,
        "unit": "%",
        "context": CommandContext(reason="too few, more light", state="steer"),
    }
    return AuditRow(**values | changes)


def written(path: Path, *rows: AuditRow) -> list[dict[str, str]]:
    audit = LaserAudit(path, START_NS)
    for one in rows:
        audit.note(one)
    audit.close()
    return list(read_laser_log(path))


def test_every_column_of_a_row_is_written_where_it_is_known(tmp_path: Path) -> None:
    context = CommandContext(
        reason="too few, more light",
        frame=41,
        t_exposure_end_ns=START_NS + 2_480_000_000,
        estimate_per_um2=0.05,
        std_per_um2=0.01,
        target_per_um2=0.1,
        state="steer",
    )

    [found] = written(tmp_path / "lasers.csv", row(measured=9.8, dose=25.0, context=context))

    assert set(found) == set(COLUMNS)
    assert all(found.values()), "nothing was left empty"
    assert float(found["t_s"]) == 2.5, "from the start of the run"
    assert float(found["latency_ms"]) == 20.0, "from the end of the exposure to the command"
    assert (found["wanted"], found["sent"], found["unit"]) == ("12", "10", "%")
    assert (found["measured"], found["dose"], found["frame"]) == ("9.8", "25", "41")
    assert found["reason"] == "too few, more light"


def test_what_is_not_known_stays_empty_and_is_not_zero(tmp_path: Path) -> None:
    [found] = written(tmp_path / "lasers.csv", row(kind="arm", wanted=math.nan))

    unknown = ("wanted", "measured", "dose", "frame", "latency_ms", "estimate_per_um2")
    assert [found[name] for name in unknown] == [""] * len(unknown)
    assert found["sent"] == "10"


@pytest.mark.parametrize("unit", ["mW", "%", "V", "us", "um"])
def test_every_row_states_its_unit(tmp_path: Path, unit: str) -> None:
    rows = [row(kind=kind, unit=unit) for kind in ("arm", "command", "refused", "trip", "dark")]

    found = written(tmp_path / "lasers.csv", *rows)

    assert [one["unit"] for one in found] == [unit] * 5


def test_a_row_is_on_disk_before_the_next_and_survives_the_death_of_the_program(
    tmp_path: Path,
) -> None:
    audit = LaserAudit(tmp_path / "lasers.csv", START_NS)

    audit.note(row())
    found = list(read_laser_log(tmp_path / "lasers.csv"))

    assert len(found) == 1
    audit.close()


def test_a_second_audit_of_the_same_run_goes_on_below_the_first(tmp_path: Path) -> None:
    written(tmp_path / "lasers.csv", row(), row())

    found = written(tmp_path / "lasers.csv", row(kind="dark", sent=0.0))

    assert [one["kind"] for one in found] == ["command", "command", "dark"]


def test_a_file_that_cannot_be_opened_is_an_error_before_any_light(tmp_path: Path) -> None:
    (tmp_path / "lasers.csv").mkdir()

    with pytest.raises(SinkError, match=r"lasers\.csv cannot be written"):
        LaserAudit(tmp_path / "lasers.csv", START_NS)


def test_closing_twice_is_safe(tmp_path: Path) -> None:
    audit = LaserAudit(tmp_path / "lasers.csv", START_NS)

    audit.close()
    audit.close()

    assert list(read_laser_log(tmp_path / "lasers.csv")) == []
