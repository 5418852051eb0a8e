"""FrameRing against a queue: whatever is pushed, looked at and released in whatever order."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtsmlm.errors import ConfigError, FrameMismatchError
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.realtime.ring import FrameRing, frames_that_fit

SHAPE = (2, 3)


def frame(index: int, shape: tuple[int, int] = SHAPE) -> CameraFrame:
    return CameraFrame(np.full(shape, index % 65536, np.uint16), index, 10 * index, 0.5 * index)


def assert_holds(batch: FrameBatch, indices: list[int]) -> None:
    """Every column of a batch belongs to the frames of these numbers."""
    assert batch.index.tolist() == indices
    assert (batch.pixels == batch.index[:, None, None]).all(), "pixels of another frame"
    assert (batch.t_exposure_end_ns == 10 * batch.index).all()
    assert (np.diff(batch.t_ring_ns) >= 0).all()


class RingMachine(RuleBasedStateMachine):
    """Producer and consumer take turns as they like."""

    @initialize(capacity=st.integers(0, 7), kept=st.integers(1, 4), shared=st.just(False))
    def make(self, capacity: int, kept: int, shared: bool) -> None:
        self.ring = FrameRing.create(SHAPE, capacity, shared=shared, kept=kept)
        self.capacity = max(capacity, 2, kept + 1)
        self.kept = kept
        self.waiting: deque[int] = deque()
        self.before: deque[int] = deque(maxlen=kept)  # the last frames that were released
        self.next = 0
        self.pushed = 0

    @rule(gap=st.sampled_from([1, 1, 1, 4]))
    def push(self, gap: int) -> None:
        taken = self.ring.push(frame(self.next))

        assert taken == (len(self.waiting) < self.capacity)
        if taken:
            self.waiting.append(self.next)
            self.pushed += 1
        self.next += gap

    @rule(most=st.integers(1, 9))
    def peek(self, most: int) -> None:
        batch = self.ring.peek(most)

        if not self.waiting:
            assert batch is None
            return
        assert batch is not None
        assert 1 <= len(batch) <= most
        assert_holds(batch, list(self.waiting)[: len(batch)])

    @rule(most=st.integers(1, 9), wanted=st.integers(0, 4), final=st.booleans())
    def window(self, most: int, wanted: int, final: bool) -> None:
        neighbours = min(wanted, self.kept)
        found = self.ring.window(most, neighbours, final=final)

        ready = len(self.waiting) - (0 if final else neighbours)
        if ready <= 0:
            assert found is None
            return
        assert found is not None
        batch, targets = found
        waiting = list(self.waiting)
        n = min(ready, most)
        lead = list(self.before)[-neighbours:] if neighbours else []
        tail = waiting[n : n + neighbours]
        assert_holds(batch, [*lead, *waiting[:n], *tail])
        assert batch.index[targets].tolist() == waiting[:n]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(1, len(self.waiting)))

        self.ring.release(n)

        for _ in range(n):
            self.before.append(self.waiting.popleft())

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "ring"):
            return
        assert self.ring.backlog == len(self.waiting)
        assert self.ring.full == (len(self.waiting) == self.capacity)
        assert self.ring.pushed == self.pushed
        assert self.ring.released == self.pushed - len(self.waiting)

    def teardown(self) -> None:
        if hasattr(self, "ring"):
            self.ring.close()


TestRing = RingMachine.TestCase
TestRing.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_a_window_is_a_copy_that_outlives_its_slots() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring:
        for index in range(3):
            ring.push(frame(index))
        found = ring.window(3, 0, final=True)
        assert found is not None
        ring.release(3)
        for index in range(3, 6):
            ring.push(frame(index))

        assert_holds(found[0], [0, 1, 2])


def test_the_end_of_the_input_is_seen_and_what_was_pushed_before_is_there() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring:
        ring.push(frame(7))
        assert not ring.input_closed

        ring.close_input()

        assert ring.input_closed
        assert ring.backlog == 1


def test_a_heartbeat_never_goes_back() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring:
        beats = [ring.heartbeat_ns]
        for _ in range(5):
            ring.beat()
            beats.append(ring.heartbeat_ns)

    assert beats == sorted(beats)
    assert beats[0] > 0, "a consumer that has never beaten counts from the start"


def test_a_refused_frame_leaves_the_ring_as_it_is() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring:
        ring.push(frame(1))
        for foreign in (frame(2, (3, 2)), CameraFrame(np.zeros(SHAPE, np.int32), 2, 0)):  # type: ignore[arg-type]
            with pytest.raises(FrameMismatchError, match=r"frame 2 is .*started with uint16"):
                ring.push(foreign)
        batch = ring.peek(5)
        assert batch is not None
        assert_holds(batch, [1])


def test_a_private_ring_has_no_name_for_others() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring, pytest.raises(ConfigError):
        _ = ring.name


def test_a_shared_ring_is_seen_by_both_sides_and_gone_with_its_owner() -> None:
    owner = FrameRing.create(SHAPE, 3)
    reader = FrameRing.attach(owner.name)
    name = owner.name
    try:
        owner.push(frame(9))
        batch = reader.peek(1)
        assert batch is not None
        assert_holds(batch, [9])
        del batch
        reader.release(1)
        assert owner.backlog == 0
    finally:
        reader.close()
        owner.close()
        owner.close()

    with pytest.raises(FileNotFoundError):
        FrameRing.attach(name)


@pytest.mark.parametrize("megabytes", [0.0, 1e-9, 3.0])
def test_a_ring_has_room_for_two_frames_however_little_memory_is_given(megabytes: float) -> None:
    fits = frames_that_fit((2048, 2048), megabytes)

    assert fits == 2
    assert frames_that_fit((64, 64), 1.0) == 128
