"""Frames and headers from the stream: read once, or refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.stream.messages import EndMessage, FrameMessage, HistoryMessage, read_message
from rtsmlm.viewer.sources import stream_inbox
from rtsmlm.viewer.sources.stream_inbox import StreamInbox
from rtsmlm.viewer.sources.updates import CameraImage

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300


def head(**more: Any) -> bytes:
    return json.dumps({"index": 70, "shape": [3, 4], "binning": 2} | more).encode()


def image_of(header: bytes, pixels: bytes) -> CameraImage:
    stated = read_message(FrameMessage, header, "the newest frame of the run")
    return CameraImage.from_message(stated, pixels)


def test_a_frame_comes_out_as_it_was_sent_whatever_the_byte_order_here() -> None:
    image = image_of(head(), PIXELS.astype("<u2").tobytes())

    assert (image.index, image.binning) == (70, 2)
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels, PIXELS)


def test_the_pixels_of_a_frame_are_a_copy_that_can_be_written() -> None:
    image = image_of(head(), PIXELS.astype("<u2").tobytes())

    assert image.pixels.flags.writeable


@pytest.mark.parametrize(
    ("stated", "n_bytes"),
    [
        ({}, 0), ({}, 23), ({}, 25), ({"shape": [4, 4]}, 24), ({"shape": [-3, -4]}, 24),
        ({"shape": [0, 0]}, 0),
    ],
)  # fmt: skip
def test_a_frame_that_does_not_fill_its_shape_is_refused_with_both_numbers(
    stated: dict[str, Any], n_bytes: int
) -> None:
    with pytest.raises(FileFormatError, match=f"has {n_bytes} bytes; .* were stated"):
        image_of(head(**stated), bytes(n_bytes))


@pytest.mark.parametrize(
    "stated",
    [{"index": "70"}, {"index": None}, {"shape": [3]}, {"shape": [3, 4, 5]}, {"shape": "3x4"},
     {"binning": 1.5}],
)  # fmt: skip
def test_a_damaged_header_of_a_frame_is_named(stated: dict[str, Any]) -> None:
    [name] = stated

    with pytest.raises(FileFormatError, match=f"newest frame of the run cannot be read: {name}"):
        image_of(head(**stated), PIXELS.tobytes())


def test_the_end_of_a_run_without_a_count_is_an_end_all_the_same() -> None:
    assert (
        read_message(EndMessage, b'{"localizations": 7, "restarts": 0}', "end").localizations == 7
    )
    assert read_message(EndMessage, b"{}", "end").localizations == 0


@pytest.mark.parametrize("data", [b"{}", b'{"size": 5}', b'{"size": "5", "generation": 0}', b""])
def test_an_answer_of_the_history_needs_size_and_generation(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        read_message(HistoryMessage, data, "the history of the run")


# -- the inbox -----------------------------------------------------------------------------------


def test_a_problem_is_handed_over_once_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    inbox = StreamInbox("tcp://127.0.0.1:1")
    for _ in range(5):
        inbox.report("the status of the run cannot be read")

    first, second = (inbox.take("live", 0, 100) for _ in range(2))

    assert first.problem == "the status of the run cannot be read"
    assert second.problem is None
    assert caplog.text.count("cannot be read") == 1


def test_every_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    inbox = StreamInbox("tcp://127.0.0.1:1")
    for text in ("one", "two", "one"):
        inbox.report(f"problem {text}")

    assert caplog.text.count("problem") == 2
    assert inbox.take("live", 0, 100).problem == "problem one"


def test_a_run_that_is_known_stays_known_and_a_status_is_new_only_once(status: Any) -> None:
    from rtsmlm.stream.messages import RunMessage, StatusMessage

    inbox = StreamInbox("tcp://127.0.0.1:1")
    run = RunMessage(run="one", shape=(3, 4), pixel_nm=100.0)
    message = StatusMessage.model_validate(status())
    inbox.note(run=run)
    inbox.note(status=message)

    first, second = (inbox.take("live", 0, 100) for _ in range(2))

    assert (first.run, second.run) == (run, run)
    assert (first.status, second.status) == (message, None)


def test_another_run_takes_the_status_of_the_one_before_with_it(status: Any) -> None:
    from rtsmlm.stream.messages import StatusMessage

    inbox = StreamInbox("tcp://127.0.0.1:1")
    inbox.note(status=StatusMessage.model_validate(status()))
    inbox.restart(new_run=True)

    update = inbox.take("live", 0, 100)

    assert update.restarted
    assert update.status is None


def test_an_address_at_which_nothing_answers_is_a_sentence_after_some_seconds_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter((100.0, 102.9, 103.1, 110.0, 133.2))
    monkeypatch.setattr(stream_inbox.time, "monotonic", lambda: next(clock))
    inbox = StreamInbox("tcp://wrong:1")
    found = [inbox.take("waiting", 0, 100).problem for _ in range(5)]

    assert [problem is not None for problem in found] == [False, False, True, False, True]
    assert found[2] is not None
    assert found[2].startswith("nothing answers at tcp://wrong:1")
    assert inbox.take("live", 0, 100).problem is None
