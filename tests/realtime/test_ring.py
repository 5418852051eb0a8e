"""The ring between the processes: order, refusal when full, and no torn frame."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from rtsmlm.errors import ConfigError, FrameMismatchError
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.ring import FrameRing, frames_that_fit

SHAPE = (7, 5)


def frame(index: int, shape: tuple[int, int] = SHAPE, fill: int | None = None) -> CameraFrame:
    value = index % 65536 if fill is None else fill
    return CameraFrame(np.full(shape, value, np.uint16), index, 1000 + index, float(index))


def test_frames_come_out_as_they_went_in_with_their_stamps() -> None:
    with FrameRing.create(SHAPE, 4, shared=False) as ring:
        for index in (3, 4, 9):
            assert ring.push(frame(index))

        batch = ring.peek(10)

        assert batch is not None
        assert batch.index.tolist() == [3, 4, 9]
        assert batch.t_exposure_end_ns.tolist() == [1003, 1004, 1009]
        assert batch.activation_power.tolist() == [3.0, 4.0, 9.0]
        assert (batch.pixels == np.array([3, 4, 9])[:, None, None]).all()
        assert (batch.t_ring_ns > 0).all()


def test_a_full_ring_refuses_and_overwrites_nothing() -> None:
    with FrameRing.create(SHAPE, 3, shared=False) as ring:
        accepted = [ring.push(frame(k)) for k in range(5)]

        batch = ring.peek(10)

        assert accepted == [True, True, True, False, False]
        assert batch is not None
        assert batch.index.tolist() == [0, 1, 2]


def test_a_slot_is_free_again_only_after_its_release() -> None:
    with FrameRing.create(SHAPE, 2, shared=False) as ring:
        ring.push(frame(0))
        ring.push(frame(1))
        held = ring.peek(2)
        assert held is not None
        assert not ring.push(frame(2))

        ring.release(1)

        assert ring.push(frame(2))
        assert held.pixels[1].max() == 1, "the second slot has not been released"


def test_batches_end_at_the_end_of_the_memory_and_lose_nothing() -> None:
    seen: list[int] = []
    with FrameRing.create(SHAPE, 5, shared=False) as ring:
        for index in range(23):
            assert ring.push(frame(index))
            if index % 3 == 2:
                while (batch := ring.peek(2)) is not None:
                    seen += batch.index.tolist()
                    ring.release(len(batch))
        while (batch := ring.peek(2)) is not None:
            seen += batch.index.tolist()
            ring.release(len(batch))

    assert seen == list(range(23))


@pytest.mark.parametrize(
    "bad",
    [
        CameraFrame(np.zeros((5, 7), np.uint16), 0, 0),
        CameraFrame(np.zeros(SHAPE, np.uint8), 0, 0),  # type: ignore[arg-type]
    ],
)
def test_a_frame_of_another_shape_or_type_is_refused_with_both_named(
    bad: CameraFrame,
) -> None:
    with (
        FrameRing.create(SHAPE, 2, shared=False) as ring,
        pytest.raises(FrameMismatchError, match=r"uint16 \(7, 5\)"),
    ):
        ring.push(bad)


PRODUCER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from rtsmlm.frames import CameraFrame
    from rtsmlm.realtime.ring import FrameRing

    ring = FrameRing.attach(sys.argv[1])
    pixels = np.empty(ring.shape, np.uint16)
    made = pushed = 0
    while pushed < int(sys.argv[2]):
        pixels[:] = made % 65521
        pushed += ring.push(CameraFrame(pixels, made, made))
        made += 1
    ring.close_input()
    ring.close()
    print(made, pushed)
    """
)


def drain(ring: FrameRing, producer: subprocess.Popen[str]) -> tuple[int, int, int]:
    """Take all frames and return how many there were, were torn, and were mislabelled.

    Now and then it lets the ring run full, so that the producer is refused also where this side
    would keep up.
    """
    received = torn = mislabelled = 0
    last, pause_at = -1, 0
    while True:
        if received >= pause_at:
            pause_at += 300
            while not (ring.full or ring.input_closed or producer.poll() is not None):
                time.sleep(0.0005)
            time.sleep(0.002)
        closed = ring.input_closed
        batch = ring.peek(3)
        if batch is None:
            if closed or producer.poll() not in (None, 0):
                return received, torn, mislabelled
            continue
        for pixels, index in zip(batch.pixels, batch.index.tolist(), strict=True):
            low, high = int(pixels.min()), int(pixels.max())
            torn += low != high
            mislabelled += low != index % 65521 or index <= last
            last = index
        received += len(batch)
        ring.release(len(batch))


def test_no_frame_is_torn_between_two_processes_that_go_as_fast_as_they_can() -> None:
    wanted = 3000
    with FrameRing.create((256, 256), 4) as ring:
        producer = subprocess.Popen(
            [sys.executable, "-P", "-c", PRODUCER, ring.name, str(wanted)],
            stdout=subprocess.PIPE,
            text=True,
        )
        received, torn, mislabelled = drain(ring, producer)
        made, pushed = map(int, producer.communicate(timeout=20)[0].split())

    assert (torn, mislabelled) == (0, 0)
    assert received == pushed == wanted
    assert made > pushed, "the ring was never full: the test did not try hard enough"


def test_two_threads_lose_nothing_when_the_producer_waits() -> None:
    seen: list[int] = []
    with FrameRing.create((32, 32), 3, shared=False) as ring:

        def produce() -> None:
            for index in range(2000):
                while not ring.push(frame(index, (32, 32))):
                    pass
            ring.close_input()

        thread = threading.Thread(target=produce)
        thread.start()
        while True:
            closed = ring.input_closed
            batch = ring.peek(8)
            if batch is None:
                if closed:
                    break
                continue
            assert (batch.pixels[:, 0, 0] == batch.index).all()
            seen += batch.index.tolist()
            ring.release(len(batch))
        thread.join()

    assert seen == list(range(2000))


def test_the_attached_side_leaves_the_memory_to_its_owner() -> None:
    with FrameRing.create(SHAPE, 2) as ring:
        FrameRing.attach(ring.name).close()

        again = FrameRing.attach(ring.name)
        again.close()

        name = ring.name
    with pytest.raises(FileNotFoundError):
        FrameRing.attach(name)


def test_memory_that_holds_no_ring_is_refused() -> None:
    with pytest.raises(ConfigError, match="no frame ring"):
        FrameRing(bytearray(8192), owner=True)


def test_more_shared_memory_than_there_is_is_refused_before_anything_is_written() -> None:
    with pytest.raises((ConfigError, OSError)):
        FrameRing.create((4096, 4096), 10_000_000)


@pytest.mark.parametrize("capacity", [3, 5, 8])
def test_a_window_brings_the_neighbours_along_also_around_the_end_of_the_memory(
    capacity: int,
) -> None:
    seen: list[tuple[int, list[int]]] = []
    with FrameRing.create(SHAPE, capacity, shared=False) as ring:

        def take(*, final: bool) -> None:
            while (found := ring.window(2, 1, final=final)) is not None:
                batch, targets = found
                for k in range(*targets.indices(len(batch))[:2]):
                    around = batch.index[max(k - 1, 0) : k + 2].tolist()
                    assert (batch.pixels[k] == batch.index[k]).all()
                    seen.append((int(batch.index[k]), around))
                ring.release(targets.stop - targets.start)

        for index in range(30):
            while not ring.push(frame(index)):
                take(final=False)
        assert seen[-1][0] < 29, "the last frame waits for its neighbour"
        take(final=True)

    assert [index for index, _ in seen] == list(range(30))
    for index, around in seen:
        assert around == [n for n in (index - 1, index, index + 1) if 0 <= n < 30]


def test_frames_that_fit_counts_two_bytes_per_pixel() -> None:
    assert frames_that_fit((512, 512), 1.0) == 2
    assert frames_that_fit((512, 512), 10.0) == 20
