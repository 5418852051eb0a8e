"""FrameRing: preallocated frames between one producer and one consumer, in or across processes.

Layout of the memory: one page of 64-bit words (what `_Word` names), then the columns of the slots
(frame number, two times, laser power), then the pixels. The producer alone writes `HEAD` and the
slots in front of it, the consumer alone writes `TAIL`; a slot is never overwritten before the
consumer has released it, so no frame can be torn and no lock is held across a copy. When the ring
is full, `push` refuses and the caller books the frame as skipped: the frame itself goes to disk.
"""

from __future__ import annotations

import contextlib
import threading
from enum import IntEnum
from multiprocessing import shared_memory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FrameMismatchError
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.shared_segments import create_segment, open_untracked

_MAGIC = 0x52544C4D0001  # "RTLM", layout version 1
_PAGE = 4096
_COLUMNS = 4


class _Word(IntEnum):
    MAGIC = 0
    SLOTS = 1
    HEIGHT = 2
    WIDTH = 3
    CLOSED = 4
    GIVEN_UP = 5
    KEPT = 6
    # Producer and consumer write on cache lines of their own.
    HEAD = 16
    TAIL = 32
    HEARTBEAT = 48


class FrameRing:
    """Single producer, single consumer.

    Use `create` on the producer's side and `attach` by `name` in the other process, or share
    the object between two threads.
    """

    def __init__(self, memory: shared_memory.SharedMemory | bytearray, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        buffer: Any = memory if isinstance(memory, bytearray) else memory.buf
        self._words: NDArray[np.int64] = np.frombuffer(buffer, np.int64, _PAGE // 8)
        if self._words[_Word.MAGIC] != _MAGIC:
            raise ConfigError("this shared memory holds no frame ring of this version of rtsmlm")
        self._slots = int(self._words[_Word.SLOTS])
        self.kept = int(self._words[_Word.KEPT])
        self.capacity = self._slots - self.kept
        self.shape = int(self._words[_Word.HEIGHT]), int(self._words[_Word.WIDTH])
        n = self._slots
        columns = np.frombuffer(buffer, np.int64, _COLUMNS * n, offset=_PAGE)
        self._index, self._t_exposure_end, self._t_ring, power = columns.reshape(_COLUMNS, n)
        self._power = power.view(np.float64)
        pixel_offset = _pixel_offset(n)
        pixels = np.frombuffer(buffer, np.uint16, n * self.shape[0] * self.shape[1], pixel_offset)
        self._pixels = pixels.reshape(n, *self.shape)
        self._fence = threading.Lock()

    @classmethod
    def create(
        cls, shape: tuple[int, int], capacity: int, *, shared: bool = True, kept: int = 1
    ) -> FrameRing:
        """Allocate a ring.

        Parameters
        ----------
        shape
            Height and width of a frame in pixels.
        capacity
            Number of frames, at least 2.
        shared
            In shared memory, for another process; otherwise for threads of this one.
        kept
            Released frames that are not overwritten: a network may use them as neighbours. There
            is room for one frame more than that, or none would ever have all its neighbours.

        Raises
        ------
        ConfigError
            If there is not enough shared memory.
        """
        slots = max(capacity, 2, kept + 1) + kept
        size = _pixel_offset(slots) + slots * shape[0] * shape[1] * 2
        memory: shared_memory.SharedMemory | bytearray
        if shared:
            memory = create_segment(size)
            buffer: Any = memory.buf
        else:
            memory = buffer = bytearray(size)
        words: NDArray[np.int64] = np.frombuffer(buffer, np.int64, _PAGE // 8)
        words[:] = 0
        words[_Word.SLOTS], words[_Word.HEIGHT], words[_Word.WIDTH] = slots, *shape
        words[_Word.KEPT], words[_Word.HEARTBEAT] = kept, now_ns()
        words[_Word.MAGIC] = _MAGIC
        del words
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> FrameRing:
        """Open the ring that another process has created."""
        return cls(open_untracked(name), owner=False)

    @property
    def name(self) -> str:
        """Name by which another process attaches."""
        if isinstance(self._memory, bytearray):
            raise ConfigError("this ring is private to its process")
        return self._memory.name

    # -- producer ------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """True if there is no free slot; what the producer sees as free stays free for it."""
        return self.backlog >= self.capacity

    def check(self, frame: CameraFrame) -> None:
        """Raise `FrameMismatchError` if the frame has another shape or type than the ring."""
        if frame.pixels.shape != self.shape or frame.pixels.dtype != np.uint16:
            raise FrameMismatchError(
                f"frame {frame.index} is {frame.pixels.dtype} {frame.pixels.shape}, the run "
                f"started with uint16 {self.shape}; stop live mode or ROI changes during a run"
            )

    def push(self, frame: CameraFrame) -> bool:
        """Copy a frame into the ring; False if there is no free slot.

        Raises
        ------
        FrameMismatchError
            If the frame has another shape or type than the ring.
        """
        self.check(frame)
        if self.full:
            return False
        head = int(self._words[_Word.HEAD])
        slot = head % self._slots
        self._pixels[slot] = frame.pixels
        self._index[slot] = frame.index
        self._t_exposure_end[slot] = frame.t_exposure_end_ns
        self._power[slot] = frame.activation_power
        self._t_ring[slot] = now_ns()
        self._barrier()
        self._words[_Word.HEAD] = head + 1
        return True

    def close_input(self) -> None:
        """Mark the input as closed: no more frames will come."""
        self._barrier()
        self._words[_Word.CLOSED] = 1

    def give_up_rest(self) -> None:
        """Ask the consumer to leave the frames that wait, once the input is closed."""
        self._words[_Word.GIVEN_UP] = 1

    # -- consumer ------------------------------------------------------------------------

    def peek(self, max_frames: int) -> FrameBatch | None:
        """Return the oldest frames as views into the ring, or None if there are none.

        The views stay valid until `release`. Frames that wrap around the end of the memory come
        with the next call.
        """
        tail, head = int(self._words[_Word.TAIL]), int(self._words[_Word.HEAD])
        if head == tail:
            return None
        self._barrier()
        start = tail % self._slots
        stop = min(start + min(head - tail, max_frames), self._slots)
        return self._batch(slice(start, stop))

    def window(
        self, max_frames: int, neighbours: int, *, final: bool
    ) -> tuple[FrameBatch, slice] | None:
        """Return a copy of the oldest frames with their neighbours, or None if they lack one.

        Parameters
        ----------
        max_frames
            Most frames to be localized.
        neighbours
            How many frames before and after each are wanted, at most `kept`.
        final
            No more frames will come: the last ones go without those after them.

        Returns
        -------
        :
            The frames, and which of them are to be localized and released.

        Raises
        ------
        ConfigError
            If the ring does not keep as many frames.
        """
        if neighbours > self.kept:
            raise ConfigError(
                f"the localizer looks at {neighbours} frames before each, and this ring keeps "
                f"{self.kept}: a localizer that is no model folder may look at one"
            )
        tail, head = int(self._words[_Word.TAIL]), int(self._words[_Word.HEAD])
        self._barrier()
        n = min(head - tail - (0 if final else neighbours), max_frames)
        if n <= 0:
            return None
        first, last = max(tail - neighbours, 0), min(tail + n + neighbours, head)
        slots = np.arange(first, last) % self._slots
        return self._batch(slots), slice(tail - first, tail - first + n)

    def _batch(self, slots: slice | NDArray[np.int64]) -> FrameBatch:
        return FrameBatch(
            pixels=self._pixels[slots],
            index=self._index[slots],
            t_exposure_end_ns=self._t_exposure_end[slots],
            t_ring_ns=self._t_ring[slots],
            activation_power=self._power[slots],
        )

    def release(self, n_frames: int) -> None:
        """Give the oldest slots back to the producer."""
        self._barrier()
        self._words[_Word.TAIL] += n_frames

    def beat(self) -> None:
        """Note that the consumer is alive."""
        self._words[_Word.HEARTBEAT] = now_ns()

    # -- both ----------------------------------------------------------------------------

    @property
    def heartbeat_ns(self) -> int:
        """When the consumer was last known to be alive."""
        return int(self._words[_Word.HEARTBEAT])

    @property
    def input_closed(self) -> bool:
        """True once no more frames will come."""
        return bool(self._words[_Word.CLOSED])

    @property
    def is_given_up(self) -> bool:
        """True once the frames that wait are not wanted any more."""
        return bool(self._words[_Word.GIVEN_UP])

    @property
    def pushed(self) -> int:
        """Number of frames that ever entered."""
        return int(self._words[_Word.HEAD])

    @property
    def released(self) -> int:
        """Number of frames that the consumer is done with."""
        return int(self._words[_Word.TAIL])

    @property
    def backlog(self) -> int:
        """Number of frames waiting or being worked on."""
        return self.pushed - self.released

    def close(self) -> None:
        """Release the memory; the owner's call removes it. Safe to call more than once."""
        for column in (
            "_words",
            "_index",
            "_t_exposure_end",
            "_t_ring",
            "_power",
            "_pixels",
        ):
            setattr(self, column, np.zeros((0,), np.int64))
        memory, self._memory = self._memory, bytearray()
        if isinstance(memory, shared_memory.SharedMemory):
            # A view that is still held keeps the mapping until it is gone, which does no harm.
            with contextlib.suppress(BufferError):
                memory.close()
            if self._owner:
                with contextlib.suppress(FileNotFoundError):
                    memory.unlink()

    def __enter__(self) -> FrameRing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _barrier(self) -> None:
        # x86 keeps the order of stores by itself; ARM needs the fence that a lock brings along.
        with self._fence:
            pass


def frames_that_fit(shape: tuple[int, int], megabytes: float) -> int:
    """Return how many frames of this shape fit into so much memory, at least 2."""
    return max(2, int(megabytes * 2**20 / (shape[0] * shape[1] * 2)))


def _pixel_offset(capacity: int) -> int:
    columns = _COLUMNS * capacity * 8
    return _PAGE + (columns + _PAGE - 1) // _PAGE * _PAGE
