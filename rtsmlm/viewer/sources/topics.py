"""What each topic of the stream holds, as a record."""

from __future__ import annotations

from typing import TypeAlias

from rtsmlm.stream.messages import (
    DensityMessage,
    EndMessage,
    FrameMessage,
    LayerMessage,
    RunMessage,
    StatusMessage,
    read_message,
)
from rtsmlm.stream.wire import DENSITY, END, FRAME, LAYER, SETTINGS, STATUS

StreamMessage: TypeAlias = StatusMessage | DensityMessage | FrameMessage | LayerMessage | EndMessage

_KINDS: dict[bytes, tuple[type[StreamMessage], str]] = {
    STATUS: (StatusMessage, "the status of the run"),
    DENSITY: (DensityMessage, "the density of the run"),
    FRAME: (FrameMessage, "the newest frame of the run"),
    LAYER: (LayerMessage, "a prediction of the run"),
    END: (EndMessage, "the end of the run"),
}
TOPICS = (SETTINGS, *_KINDS)


def read_topic(topic: bytes, header: bytes) -> RunMessage | StreamMessage | None:
    """Return the record of a message; None for a topic that is not known.

    Parameters
    ----------
    topic, header
        First and second part of the message.

    Raises
    ------
    FileFormatError
        If it cannot be read.
    """
    if topic.startswith(SETTINGS):
        return read_message(RunMessage, topic[len(SETTINGS) :], "the first message of the run")
    if topic not in _KINDS:
        return None
    kind, what = _KINDS[topic]
    return read_message(kind, header, what)
