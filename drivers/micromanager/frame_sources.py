"""How frames leave a Micro-Manager core, one by one and with their tags.

Two sources behind one shape: the circular buffer of the C++ core, and the sequence buffer
that `UniMMCore` keeps for cameras written in Python. This is the only place that knows
private parts of pymmcore-plus.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
import pymmcore
from numpy.typing import NDArray
from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.frame_tags import CAMERA_TAG, CORE_NUMBER_TAG, Tags

_PRIVATE_PARTS = (
    "_lock",
    "_slots",
    "_evict_slot",
    "overwrite_on_overflow",
    "overflow_occurred",
)


class FrameSource(Protocol):
    """Where the frames of a running sequence are taken from."""

    def waiting(self) -> int:
        """Return how many frames can be taken now."""
        ...

    def pop(self) -> tuple[NDArray[Any], Tags] | None:
        """Take the oldest frame; None if there is none. Valid until the next is taken."""
        ...

    def overflowed(self) -> bool:
        """Return whether the sequence was stopped because the buffer was full."""
        ...

    def leave(self) -> None:
        """Give up the frame that was read and left, where the sequence goes on without us.

        The next run that takes its frames would count it a second time.
        """
        ...


class CoreFrames:
    """Frames from the circular buffer, through the public interface of any core.

    Parameters
    ----------
    core
        The core.
    python_camera
        Whether its camera is one of `UniMMCore`.
    keep_newest
        Leave the newest frame in the buffer, where the host's `getLastImage` finds it, until the
        next one has come. It is read at once all the same.
    """

    def __init__(self, core: CMMCorePlus, *, python_camera: bool, keep_newest: bool) -> None:
        # A UniMMCore asks at every call which camera is current. For a C++ camera the
        # answer is known, and the plain core takes 0.2 us instead of 0.9 us.
        core_type: Any = type(core) if python_camera else pymmcore.CMMCore
        self._core = core
        self._keep_newest = keep_newest
        self._count = core_type.getRemainingImageCount
        self._pop = core_type.popNextImageMD
        self._peek = core_type.getLastImageMD
        self._overflowed = core_type.isBufferOverflowed
        self._n_given = 0
        """1 while the oldest frame of the buffer has been read already."""
        self._given_tags: tuple[str | None, ...] | None = None

    def waiting(self) -> int:
        return max(int(self._count(self._core)) - self._n_given, 0)

    def pop(self) -> tuple[NDArray[Any], Tags] | None:
        metadata = pymmcore.Metadata()
        try:
            pixels = self._take(metadata)
        except IndexError:
            return None
        return None if pixels is None else (pixels, partial(_single_tag, metadata))

    def _take(self, metadata: pymmcore.Metadata) -> NDArray[Any] | None:
        if not self._keep_newest:
            return np.asarray(self._pop(self._core, metadata))
        if self._count(self._core) <= self._n_given:
            return None
        if self._n_given:
            self._n_given = 0
            oldest = self._pop(self._core, metadata)
            if _identity(metadata) != self._given_tags:
                return np.asarray(oldest)  # the host let the one that was read be overwritten
            metadata.Clear()
        newest = self._peek(self._core, metadata) if self._count(self._core) == 1 else None
        if newest is not None and self._count(self._core) == 1:
            self._n_given = 1
            self._given_tags = _identity(metadata)
            return np.asarray(newest)
        # More than one waits, or came meanwhile: then the newest is not the one whose turn it is.
        metadata.Clear()
        return np.asarray(self._pop(self._core, metadata))

    def overflowed(self) -> bool:
        return bool(self._overflowed(self._core))

    def leave(self) -> None:
        if not self._n_given or not self._core.isSequenceRunning():
            return
        self._n_given = 0
        try:
            self._pop(self._core, pymmcore.Metadata())
        except IndexError:  # the host has emptied its buffer
            return


class SequenceBufferFrames:
    """Frames of a Python camera, copied while they are still safe from its writer.

    `pop_next` of the buffer gives a frame up before it copies it, so that the camera may
    write over it meanwhile. Here the frame stays in the buffer until it is copied, and a
    copy is thrown away if the frame was dropped in between; the frame numbers then show a
    gap.

    Parameters
    ----------
    core
        A `UniMMCore`.
    keep_newest
        As for `CoreFrames`.
    """

    def __init__(self, core: CMMCorePlus, *, keep_newest: bool) -> None:
        self._core = core
        self._keep_newest = keep_newest
        self._given: Any = None  # the slot that was read and left
        self._pixels: NDArray[Any] = np.empty(0, dtype=np.uint16)

    @staticmethod
    def fits(core: CMMCorePlus) -> bool:
        """Return whether this release of pymmcore-plus has the parts that are used here."""
        buffer = getattr(core, "_seq_buffer", None)
        return all(hasattr(buffer, part) for part in _PRIVATE_PARTS)

    @property
    def _buffer(self) -> Any:
        return self._core._seq_buffer  # type: ignore[attr-defined]  # noqa: SLF001

    def waiting(self) -> int:
        buffer = self._buffer
        with buffer._lock:  # noqa: SLF001
            slots = buffer._slots  # noqa: SLF001
            return len(slots) - bool(slots and slots[0] is self._given)

    def pop(self) -> tuple[NDArray[Any], Tags] | None:
        while True:
            buffer = self._buffer
            with buffer._lock:  # noqa: SLF001
                slots = buffer._slots  # noqa: SLF001
                if slots and slots[0] is self._given:
                    if len(slots) == 1:
                        return None
                    self._drop_oldest(buffer)
                if not slots:
                    return None
                slot = slots[0]
            array = slot.array
            if self._pixels.shape != array.shape or self._pixels.dtype != array.dtype:
                self._pixels = np.empty_like(array)
            np.copyto(self._pixels, array)
            with buffer._lock:  # noqa: SLF001
                if slots and slots[0] is slot:
                    if self._keep_newest and len(slots) == 1:
                        self._given = slot
                    else:
                        self._drop_oldest(buffer)
                    return self._pixels, _mapping_tags(slot.metadata or {})

    def _drop_oldest(self, buffer: Any) -> None:
        """Give up the oldest slot; the lock of the buffer is held."""
        self._given = None
        buffer._evict_slot(buffer._slots.popleft())  # noqa: SLF001

    def leave(self) -> None:
        buffer = self._buffer
        with buffer._lock:  # noqa: SLF001
            slots = buffer._slots  # noqa: SLF001
            if slots and slots[0] is self._given and self._core.isSequenceRunning():
                self._drop_oldest(buffer)

    def overflowed(self) -> bool:
        buffer = self._buffer
        return bool(buffer.overflow_occurred and not buffer.overwrite_on_overflow)


def frame_source(core: CMMCorePlus, *, python_camera: bool, keep_newest: bool) -> FrameSource:
    """Return the source of frames that fits the camera; see `CoreFrames` for its parameters."""
    if python_camera and SequenceBufferFrames.fits(core):
        return SequenceBufferFrames(core, keep_newest=keep_newest)
    return CoreFrames(core, python_camera=python_camera, keep_newest=keep_newest)


def _single_tag(metadata: pymmcore.Metadata, name: str) -> str | None:
    return metadata.GetSingleTag(name).GetValue() if metadata.HasTag(name) else None


def _identity(metadata: pymmcore.Metadata) -> tuple[str | None, ...]:
    """Return what no other frame of a sequence has; of joined cameras, each counts by itself."""
    return _single_tag(metadata, CAMERA_TAG), _single_tag(metadata, CORE_NUMBER_TAG)


def _mapping_tags(metadata: Mapping[str, Any]) -> Tags:
    def tag(name: str) -> str | None:
        value = metadata.get(name)
        return None if value is None else str(value)

    return tag
