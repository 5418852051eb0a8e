"""Two runs at once on one machine: each publishes at a port of its own, and is shown as itself."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtsmlm.viewer.sources.stream_source import StreamSource

_S = 120.0


class Live:
    """`rtsmlm live --headless`, and what it prints."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.printed = name, folder / f"{name}.txt"
        command = [sys.executable, "-P", "-m", "rtsmlm.cli", "live", "--headless"]
        command += ["--seconds", "600", "--out", str(folder / name)]
        for text in (
            "localizer.name=gaussian-mle",
            "record.raw=false",
            "acquisition.exposure_ms=50",
        ):
            command += ["--set", text]
        with self.printed.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def port(self) -> int | None:
        """Where it publishes; None before that is known."""
        text = " ".join(self.printed.read_text(encoding="utf-8").split())
        if re.search(r"\d+ frames \d+/s", text) is None:  # what the run warns of comes before
            return None
        found = re.search(r"published on tcp://127\.0\.0\.1: ?(\d+)", text)
        return int(found[1]) if found else 5757


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Live]]:
    runs: list[Live] = []

    def make(name: str) -> Live:
        runs.append(Live(tmp_path, name))
        until(lambda: runs[-1].port is not None, runs[-1])
        return runs[-1]

    yield make
    for run in runs:
        run.process.kill()
        run.process.wait(60)


def until(condition: Callable[[], object], *runs: Live) -> None:
    end_s = time.monotonic() + _S
    while not condition():
        assert time.monotonic() < end_s
        assert all(run.process.poll() is None for run in runs), "a run has ended"
        time.sleep(0.1)


@pytest.mark.slow
def test_two_runs_at_once_are_each_shown_as_themselves(start: Callable[[str], Live]) -> None:
    first, second = start("membrane"), start("filaments")
    assert first.port != second.port

    for run in (first, second):
        source = StreamSource(f"tcp://127.0.0.1:{run.port}")
        try:
            shown: set[str] = set()

            def sees(source: StreamSource = source, shown: set[str] = shown) -> bool:
                about = source.poll().run
                shown |= set() if about is None else {about.run}
                return bool(shown)

            until(sees, first, second)
            assert shown == {run.name}
        finally:
            source.close()
