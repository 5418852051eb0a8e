"""The end of a run as those who watch it see it: the counts are those of its ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.messages import StatusMessage
from rtsmlm.viewer.sources.stream_source import StreamSource

_S = 60.0
Make = Callable[..., RunSettings]
COUNTS = ("camera", "received", "recorded", "localized", "skipped", "lost", "in_ring")


def newest_status(source: StreamSource) -> tuple[StatusMessage | None, int]:
    """Return the final status once it is there, and the rows that came."""
    final, n_rows, end_s = None, 0, time.monotonic() + _S
    while final is None and time.monotonic() < end_s:
        update = source.poll()
        n_rows = (0 if update.restarted else n_rows) + sum(map(len, update.rows))
        if update.status is not None and update.status.is_final:
            final = update.status
        time.sleep(0.02)
    return final, n_rows


@pytest.mark.parametrize("joins_late", [False, True], ids=["from the start", "at the end"])
def test_the_last_status_that_a_window_is_sent_has_the_counts_of_the_ledger(
    spot_camera: Callable[..., Any], quick_settings: Make, joins_late: bool
) -> None:
    settings = quick_settings("stream.address=tcp://127.0.0.1:*", "acquisition.frames=150")
    session = Session(spot_camera(), settings)
    session.start()
    address = session.stream_address
    assert address is not None
    source = None if joins_late else StreamSource(address)
    try:
        assert session.wait(_S)
        source = source or StreamSource(address)
        end_s = time.monotonic() + _S
        while source.poll().run is None:
            assert time.monotonic() < end_s
            time.sleep(0.01)
        while not session._path.progress.is_watched and time.monotonic() < end_s and not joins_late:
            time.sleep(0.01)
        report = session.close()
        final, _ = newest_status(source)
        assert source.poll().connection == "ended"
    finally:
        session.close()
        if source is not None:
            source.close()

    assert report.ok, report.failures
    ledger = json.loads((report.folder / "ledger.json").read_text(encoding="utf-8"))
    assert final is not None
    assert {name: getattr(final.totals, name) for name in COUNTS} == {
        name: ledger[name] for name in COUNTS
    }
    assert final.totals.localized == 150


def test_nobody_is_waited_for_where_nobody_listened(
    spot_camera: Callable[..., Any], quick_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.session import final_status

    opened: list[Any] = []
    monkeypatch.setattr(final_status, "Broadcast", lambda *given, **more: opened.append(given))
    session = Session(
        spot_camera(), quick_settings("stream.address=tcp://127.0.0.1:*", "acquisition.frames=20")
    )
    session.start()
    assert session.wait(_S)
    assert session.close().ok
    assert opened == []
