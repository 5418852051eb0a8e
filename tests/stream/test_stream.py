"""What is published arrives: settings first, also for late subscribers; gaps are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zmq.auth

from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.arrow_schema import schema, to_batch
from rtsmlm.localizations import Localizations
from rtsmlm.stream.publisher import Publisher
from rtsmlm.stream.subscriber import StreamBatch, Subscriber

SCHEMA = schema({"pixel_nm": 100.0})


def table(frame: int, n: int) -> Localizations:
    x = np.arange(n, dtype=np.float32)
    return Localizations.from_columns(
        {"frame": np.full(n, frame), "x_nm": x, "y_nm": x + 1, "photons": x + 2}
    )


def publisher(**changes: object) -> Publisher:
    options: dict[str, object] = {
        "address": "tcp://127.0.0.1:*",
        "schema": SCHEMA,
        "settings": {"run": "test"},
        **changes,
    }
    made = Publisher(**options)  # type: ignore[arg-type]
    made.start()
    return made


def send(out: Publisher, frame: int, n: int) -> None:
    batch = to_batch(table(frame, n), SCHEMA)
    out.publish(batch, first_frame=frame, last_frame=frame, n_frames=1)


def receive_first(out: Publisher, reader: Subscriber) -> StreamBatch:
    """Publish until the subscription, which takes a moment, has come through."""
    for frame in range(200):
        send(out, frame, 2)
        batch = next(iter(reader), None)
        if batch is not None:
            return batch
    pytest.fail("the subscriber heard nothing")


def test_a_late_subscriber_hears_the_settings_first_and_then_the_rows() -> None:
    out = publisher()
    try:
        for frame in range(5):
            send(out, frame, 3)
        with Subscriber(out.address, timeout_s=0.1) as reader:
            first = receive_first(out, reader)
            assert reader.settings == {"run": "test", "run_id": out.run_id}
            send(out, 500, 4)
            out.end({"frames": 501})
            batches = [first, *reader]

        sent = table(500, 4).columns()
        got = batches[-1].localizations.columns()
        assert all(np.array_equal(sent[name], got[name], equal_nan=True) for name in sent)
        assert batches[-1].first_frame == batches[-1].last_frame == 500
        assert reader.ended == {"frames": 501}
        assert reader.lost == 0
    finally:
        out.close()


def test_the_rows_of_two_runs_on_one_port_are_never_in_one_iteration() -> None:
    first = publisher(run_id="a")
    address = first.address
    with Subscriber(address, timeout_s=0.1) as reader:
        receive_first(first, reader)
        first.close()
        second = publisher(address=address, run_id="b")
        try:
            for frame in range(200):
                send(second, 9000 + frame, 4)
                assert [len(batch.localizations) for batch in reader] == [], "of the second run"
                if reader._next_run is not None:
                    break
            assert reader.run_id == "a"
            assert receive_first(second, reader).n_frames == 1
            assert reader.run_id == "b"
        finally:
            second.close()


def test_a_message_of_another_run_is_dropped_and_counted() -> None:
    out = publisher(run_id="a")
    try:
        with Subscriber(out.address, timeout_s=0.1) as reader:
            receive_first(out, reader)
            out.run_id = "b"
            send(out, 7, 3)
            out.end({})
            out.run_id = "a"
            send(out, 8, 3)
            frames = [batch.first_frame for batch in reader]

        assert frames[-1] == 8
        assert 7 not in frames
        assert reader.damaged == 2
        assert reader.ended is None
    finally:
        out.close()


def test_a_batch_without_rows_still_tells_its_frames() -> None:
    out = publisher()
    try:
        with Subscriber(out.address, timeout_s=0.1) as reader:
            receive_first(out, reader)
            send(out, 7000, 0)
            last = list(reader)[-1]

        assert (len(last.localizations), last.last_frame) == (0, 7000)
    finally:
        out.close()


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:5757", "tcp://*:5757", "tcp://192.168.1.5:1"])
def test_an_address_that_others_can_reach_needs_keys(address: str) -> None:
    with pytest.raises(ConfigError, match="curve_keys"):
        publisher(address=address)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    out = publisher()
    try:
        with pytest.raises(ConfigError, match=r"cannot publish on .*stream\.address"):
            publisher(address=out.address)
    finally:
        out.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_with_keys_only_those_who_are_allowed_hear_anything(tmp_path: Path) -> None:
    for folder in ("keys", "stranger"):
        (tmp_path / folder).mkdir()
        zmq.auth.create_certificates(tmp_path / folder, "client")
    zmq.auth.create_certificates(tmp_path / "keys", "server")
    (tmp_path / "stranger" / "server.key").write_bytes(
        (tmp_path / "keys" / "server.key").read_bytes()
    )
    out = publisher(curve_keys=tmp_path / "keys")
    try:
        with Subscriber(out.address, timeout_s=0.1, curve_keys=tmp_path / "keys") as friend:
            assert len(receive_first(out, friend).localizations) == 2
        with (
            Subscriber(out.address, timeout_s=0.05, curve_keys=tmp_path / "stranger") as stranger,
            Subscriber(out.address, timeout_s=0.05) as keyless,
        ):
            for frame in range(10):
                send(out, frame, 2)
                assert list(stranger) == []
                assert list(keyless) == []
            assert stranger.settings == keyless.settings == {}
    finally:
        out.close()


def test_rows_arrive_however_much_the_schema_states() -> None:
    large = schema({"pixel_nm": 100.0, "note": "a word and more " * 1000})
    out = publisher(schema=large)
    try:
        with Subscriber(out.address, timeout_s=0.1) as reader:
            for frame in range(200):
                out.publish(to_batch(table(frame, 2), large), first_frame=frame, last_frame=frame,
                            n_frames=1)  # fmt: skip
                batch = next(iter(reader), None)
                if batch is not None:
                    break
            assert batch is not None
            assert len(batch.localizations) == 2
            assert reader.damaged == 0
    finally:
        out.close()
