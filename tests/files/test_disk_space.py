"""The disk fills: a warning before, a pause at the reserve, and on when there is room again."""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.files.run import disk_space
from rtsmlm.files.run.disk_space import DiskSpace

MB = 2**20


class Disk:
    """A disk of some free MB and a clock; frames of 1 MB are written to it at a steady rate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free_mb: float, **settings: Any) -> None:
        self.free_mb = free_mb
        self.t_ns = 0
        self.warnings: list[str] = []
        self.frame = 0
        self.refused: list[int] = []
        monkeypatch.setattr(disk_space, "free_mb", self._free)
        monkeypatch.setattr(disk_space, "now_ns", lambda: self.t_ns)
        self.space = DiskSpace(
            Path("/data/run"), warn=self.warnings.append, **{"reserve_mb": 100.0, **settings}
        )

    def _free(self, path: Path) -> float:
        if math.isnan(self.free_mb):
            raise OSError(errno.EIO, "Input/output error")
        return self.free_mb

    def record(self, seconds: float, per_s: float = 10.0) -> None:
        """Let frames come in."""
        for _ in range(round(seconds * per_s)):
            self.t_ns += round(1e9 / per_s)
            if self.space.admits(MB, self.frame):
                self.space.wrote(MB, self.frame)
                self.free_mb -= 1
            else:
                self.refused.append(self.frame)
            self.frame += 1


def test_the_reserve_is_never_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 150.0)

    disk.record(60)

    assert disk.free_mb == 100.0
    assert disk.refused == list(range(50, 600))


def test_a_burst_between_two_measurements_does_not_touch_it_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, 150.0)

    disk.record(0.1, per_s=10_000)  # a gigabyte in a tenth of a second

    assert disk.free_mb == 100.0


def test_the_user_is_warned_in_mb_and_minutes_before_the_disk_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, 100.0 + 10 * 60 * 20)  # 20 min at 10 MB/s

    disk.record(9 * 60)
    assert disk.warnings == []
    disk.record(2 * 60)

    (text,) = disk.warnings
    assert "/data/run takes 59" in text
    assert "MB more of raw frames, 10.0 min at 10 MB/s" in text
    disk.record(8.5 * 60)
    assert len(disk.warnings) == 2
    assert "60 s at 10 MB/s" in disk.warnings[1]


@pytest.mark.parametrize(
    "settings", [{"total_bytes": 500 * MB}, {"seconds": 50.0}], ids=["frames", "seconds"]
)
def test_a_run_that_ends_before_the_disk_is_full_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, float]
) -> None:
    disk = Disk(monkeypatch, 700.0, **settings)

    disk.record(50)

    assert disk.warnings == []


@pytest.mark.parametrize(
    "settings", [{"total_bytes": 5000 * MB}, {"seconds": 500.0}], ids=["frames", "seconds"]
)
def test_a_run_that_does_not_fit_is_warned_of_at_its_start(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, float]
) -> None:
    disk = Disk(monkeypatch, 2100.0, **settings)

    disk.record(10)

    (text,) = disk.warnings
    assert "3.3 min at 10 MB/s" in text


def test_a_long_run_that_does_not_fit_is_warned_of_hours_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, 36_000.0, seconds=2 * 3600.0)  # an hour at 10 MB/s

    disk.record(10)

    (text,) = disk.warnings
    assert "59.8 min at 10 MB/s" in text


def test_a_warning_is_repeated_only_after_space_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 100.0 + 10 * 60 * 9)
    disk.record(120)
    assert len(disk.warnings) == 1

    disk.free_mb = 100.0 + 10 * 60 * 30
    disk.record(60)
    assert len(disk.warnings) == 1
    disk.free_mb = 100.0 + 10 * 60 * 9
    disk.record(60)

    assert len(disk.warnings) == 2


def test_a_pause_and_its_end_are_one_sentence_each(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 150.0, total_bytes=0)
    disk.record(30)
    disk.free_mb = 1000.0
    disk.record(30)

    paused, continues = disk.warnings
    assert paused.startswith("recording paused at frame 50: the disk of /data/run has 100 MB free")
    assert "record.reserve_mb = 100 MB" in paused
    assert "Localization continues" in paused
    assert continues == f"recording continues with frame {disk.refused[-1] + 1}"
    assert disk.refused[-1] < 320, "within seconds of the space"
    assert not disk.space.paused


def test_a_little_space_does_not_make_it_start_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 200.0)
    disk.record(20)
    n_warnings = len(disk.warnings)

    disk.free_mb = 109.0  # less than a second at this rate
    disk.record(20)

    assert len(disk.warnings) == n_warnings


def test_a_disk_that_fills_again_and_again_does_not_flood_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, 200.0, total_bytes=0)

    for _ in range(100):
        disk.record(20)
        disk.free_mb = 200.0

    assert len(disk.refused) > 1000
    assert len(disk.warnings) <= 10


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk of /data/run is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk of /data/run is full"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; it is tried again"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "No such file; it is tried again"),
    ],
)
def test_a_disk_that_refuses_is_tried_again_every_second(
    monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    disk = Disk(monkeypatch, 5000.0, total_bytes=0)
    disk.record(1)
    tries = []
    for _ in range(1000):
        disk.t_ns += 10_000_000
        if disk.space.admits(MB, disk.frame):
            tries.append(disk.t_ns)
            disk.space.refused(error, disk.frame)

    assert len(tries) == 10
    (text,) = disk.warnings
    assert words in text
    disk.record(5)
    assert disk.warnings[1].startswith("recording continues")


def test_a_disk_that_does_not_tell_its_space_is_written_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, math.nan)

    disk.record(60)

    assert disk.refused == []
    assert disk.warnings == []
