"""Heartbeat: what owner and sentinel of the lasers prove to each other, in shared memory.

Each counts up in a word of its own and looks whether the other one's count moves. What stands still
is stopped, swapped out, blocked or dead: which of it makes no difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import IntEnum
from multiprocessing import shared_memory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.realtime.clock import now_ns
from rtsmlm.realtime.shared_segments import create_segment, open_untracked

BEAT_S = 0.1
"""The owner beats this often, six times before the sentinel acts at its default."""
ACT_AT = 0.6
"""The sentinel acts at this part of `safety.silence_s`; the devices need the rest."""
_MOST_STEP_S = 0.25
"""Longest step that counts as silence of the other: beyond it the watching process itself did not
run, and has no right to an opinion."""
_MAGIC = 0x52544C4D4842  # "RTLMHB"
_SIZE = 4096


class _Word(IntEnum):
    MAGIC = 0
    PID = 1
    # Words of the owner.
    OWNER_BEATS = 16
    LIGHT_IS_POSSIBLE = 17
    ACKNOWLEDGED = 18
    TAKE_OVER = 19
    # Words of the sentinel, on a cache line of its own.
    SENTINEL_BEATS = 32
    ACTIONS = 33


class Heartbeat:
    """Counts of owner and sentinel; `create` on the owner's side, `attach` on the other.

    A process that was forked from the owner has this object, too: whatever it does there is
    without effect.
    """

    def __init__(self, memory: shared_memory.SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._is_owner = owner
        self._pid = os.getpid()
        words = _words_of(memory)
        if words[_Word.MAGIC] != _MAGIC:
            raise ValueError("this shared memory holds no heartbeat of this version of rtsmlm")
        self._words: NDArray[np.int64] | None = words

    @classmethod
    def create(cls) -> Heartbeat:
        """Make the memory, for the process that owns the lasers."""
        memory = create_segment(_SIZE)
        words = _words_of(memory)
        words[:] = 0
        words[_Word.PID] = os.getpid()
        words[_Word.MAGIC] = _MAGIC
        del words
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> Heartbeat:
        """Open the memory that the owner has made."""
        return cls(open_untracked(name), owner=False)

    @property
    def name(self) -> str:
        """Name by which the sentinel attaches."""
        return self._memory.name

    @property
    def owner_pid(self) -> int:
        """Number of the process that beats."""
        return self._read(_Word.PID)

    # -- of the owner ----------------------------------------------------------------------

    def beat(self) -> None:
        """Prove that the owner decides; called by the loop that does so, and by nothing else."""
        self._count(_Word.OWNER_BEATS)

    @property
    def owner_beats(self) -> int:
        """How often the owner has beaten."""
        return self._read(_Word.OWNER_BEATS)

    @property
    def light_is_possible(self) -> bool:
        """Whether a laser is on, or may be switched on: only then silence matters."""
        return bool(self._read(_Word.LIGHT_IS_POSSIBLE))

    @light_is_possible.setter
    def light_is_possible(self, value: bool) -> None:
        self._write(_Word.LIGHT_IS_POSSIBLE, int(value))

    def ask_to_take_over(self) -> None:
        """Ask the sentinel to switch off what this process could not."""
        self._count(_Word.TAKE_OVER)

    @property
    def requests(self) -> int:
        """How often the owner has asked the sentinel to take over."""
        return self._read(_Word.TAKE_OVER)

    def acknowledge(self) -> bool:
        """Return True if the sentinel has acted since the last call; the owner has latched then."""
        actions = self._read(_Word.ACTIONS)
        if actions == self._read(_Word.ACKNOWLEDGED):
            return False
        self._write(_Word.ACKNOWLEDGED, actions)
        return True

    # -- of the sentinel -------------------------------------------------------------------

    def beat_of_sentinel(self) -> None:
        """Prove that the sentinel watches."""
        self._count(_Word.SENTINEL_BEATS)

    @property
    def sentinel_beats(self) -> int:
        """How often the sentinel has beaten."""
        return self._read(_Word.SENTINEL_BEATS)

    def note_action(self) -> None:
        """Note that the sentinel switches the lasers off: the owner has to latch them."""
        self._count(_Word.ACTIONS)

    @property
    def is_acknowledged(self) -> bool:
        """True once the owner has latched its lasers after the last action of the sentinel."""
        return self._read(_Word.ACTIONS) == self._read(_Word.ACKNOWLEDGED)

    # -- the end ---------------------------------------------------------------------------

    def close(self) -> None:
        """Release the memory, and remove it where this is its owner.

        That of an owner that was killed is freed by Python's tracker, or at the next start.
        """
        if self._words is None or os.getpid() != self._pid:
            return
        self._words = None  # the array has to be gone before its memory
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()

    def _read(self, word: _Word) -> int:
        return 0 if self._words is None else int(self._words[word])

    def _write(self, word: _Word, value: int) -> None:
        if self._words is not None and os.getpid() == self._pid:
            self._words[word] = value

    def _count(self, word: _Word) -> None:
        self._write(word, self._read(word) + 1)


def _words_of(memory: shared_memory.SharedMemory) -> NDArray[np.int64]:
    buffer: Any = memory.buf
    return np.frombuffer(buffer, np.int64, _SIZE // 8)


class Silence:
    """How long a count has stood still, as far as this process itself was running.

    Parameters
    ----------
    count
        Returns the count.
    clock_ns
        Steady clock.
    """

    def __init__(self, count: Callable[[], int], clock_ns: Callable[[], int] = now_ns) -> None:
        self._count, self._clock_ns = count, clock_ns
        self._last = count()
        self._looked_ns = clock_ns()
        self._silent_s = 0.0

    def seconds(self) -> float:
        """Look at the count, and return for how long it has not moved; call it often."""
        t_ns = self._clock_ns()
        step_s = (t_ns - self._looked_ns) / 1e9
        self._looked_ns = t_ns
        count = self._count()
        if count != self._last:
            self._last, self._silent_s = count, 0.0
        else:
            self._silent_s += min(step_s, _MOST_STEP_S)
        return self._silent_s

    def restart(self) -> None:
        """Count from now on."""
        self._last, self._silent_s = self._count(), 0.0
        self._looked_ns = self._clock_ns()
