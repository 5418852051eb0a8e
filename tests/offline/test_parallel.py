"""Localizing on several threads: order, bounded memory, and ends that leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.offline.parallel import OfflineLocalizers, batch_frames, with_neighbours
from rtsmlm.protocols import ALL

WHOLE = slice(0, None)


def batches(sizes: list[int]) -> Iterator[FrameBatch]:
    first = 0
    for n in sizes:
        yield FrameBatch.from_pixels(np.zeros((n, 4, 4), np.uint16), first_index=first)
        first += n


class Localizer:
    """One row per frame; remembers in which thread it worked, and waits where it is told to."""

    name = "one"

    def __init__(self, *, uses_all_cores: bool = False, neighbours: int = 0) -> None:
        self.uses_all_cores, self.neighbours = uses_all_cores, neighbours
        self.threads: set[str] = set()
        self.go_on = threading.Event()
        self.go_on.set()

    def warm_up(self, shape: tuple[int, int]) -> None:
        pass

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        self.threads.add(threading.current_thread().name)
        self.go_on.wait(10)
        frame = batch.index[targets]
        x = frame.astype(np.float32)
        return Localizations.from_columns({"frame": frame, "x_nm": x, "y_nm": x})


class Factory:
    """Makes localizers and keeps them for questions afterwards."""

    def __init__(self, **options: bool) -> None:
        self.options = options
        self.made: list[Localizer] = []

    def __call__(self) -> Localizer:
        self.made.append(Localizer(**self.options))  # type: ignore[arg-type]
        return self.made[-1]


def run(localizers: OfflineLocalizers, sizes: list[int]) -> list[int]:
    windows = ((batch, WHOLE) for batch in batches(sizes))
    done = localizers.localize(windows, lambda frame, reason: pytest.fail(reason))
    return [frame for _, rows in done for frame in rows.frame.tolist()]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 7), max_size=25), st.integers(1, 6))
def test_rows_come_in_the_order_of_frames_whatever_threads_and_batches(
    sizes: list[int], threads: int
) -> None:
    localizers = OfflineLocalizers(Factory(), threads=threads)

    assert run(localizers, sizes) == list(range(sum(sizes)))


def test_no_localizer_is_used_by_two_threads_and_no_more_are_made_than_threads() -> None:
    factory = Factory()
    localizers = OfflineLocalizers(factory, threads=3)

    run(localizers, [2] * 60)

    assert 1 <= len(factory.made) <= 3
    used = [name for localizer in factory.made for name in localizer.threads]
    assert len(used) == len(set(used)), "one thread has one localizer"
    assert all(len(localizer.threads) <= 1 for localizer in factory.made)


def test_a_localizer_that_fills_all_cores_by_itself_is_alone() -> None:
    factory = Factory(uses_all_cores=True)
    localizers = OfflineLocalizers(factory, threads=8)

    run(localizers, [2] * 20)

    assert len(factory.made) == 1


def test_only_a_few_batches_are_taken_ahead_of_a_slow_localizer() -> None:
    factory = Factory()
    localizers = OfflineLocalizers(factory, threads=1)
    factory.made[0].go_on.clear()
    taken: list[int] = []

    def windows() -> Iterator[tuple[FrameBatch, slice]]:
        for k, batch in enumerate(batches([1] * 1000)):
            taken.append(k)
            if len(taken) == 2:  # as many as it may hold: now the first must be done
                factory.made[0].go_on.set()
            yield batch, WHOLE

    done = localizers.localize(windows(), lambda frame, reason: None)
    for _ in range(5):
        next(done)
    done.close()

    assert len(taken) <= 5 + 2


def test_whoever_stops_early_leaves_no_thread_and_no_waiting_batch() -> None:
    factory = Factory()
    localizers = OfflineLocalizers(factory, threads=4)
    done = localizers.localize(
        ((batch, WHOLE) for batch in batches([1] * 500)), lambda frame, reason: None
    )
    next(done)

    done.close()

    assert not [t for t in threading.enumerate() if t.name.startswith("rtsmlm-localize")]


def test_a_movie_that_breaks_ends_in_its_error_and_leaves_no_thread() -> None:
    def broken() -> Iterator[tuple[FrameBatch, slice]]:
        for k, batch in enumerate(batches([1] * 10)):
            if k == 6:
                raise OSError("the share has gone")
            yield batch, WHOLE

    localizers = OfflineLocalizers(Factory(), threads=2)

    with pytest.raises(OSError, match="the share has gone"):
        list(localizers.localize(broken(), lambda frame, reason: None))

    assert not [t for t in threading.enumerate() if t.name.startswith("rtsmlm-localize")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(1, 7))
def test_windows_have_the_frames_beside_them_and_name_their_own(
    sizes: list[int], neighbours: int
) -> None:
    n = sum(sizes)

    windows = list(with_neighbours(batches(sizes), neighbours))

    targets = [f for batch, own in windows for f in batch.index[own].tolist()]
    assert targets == list(range(n)), "every frame is the own of one window"
    for batch, own in windows:
        first, last = int(batch.index[own][0]), int(batch.index[own][-1])
        wanted = range(max(first - neighbours, 0), min(last + neighbours + 1, n))
        assert batch.index.tolist() == list(wanted)


def test_windows_without_neighbours_are_the_batches_themselves() -> None:
    made = list(batches([3, 1, 4]))

    windows = list(with_neighbours(made, 0))

    assert [batch for batch, _ in windows] == made
    assert [len(batch.index[own]) for batch, own in windows] == [3, 1, 4]
    assert list(with_neighbours([], 1)) == []


@pytest.mark.parametrize(
    ("shape", "frames"),
    [((2048, 2048), 1), ((16384, 16384), 1), ((512, 512), 16), ((64, 64), 1024)],
)
def test_a_batch_holds_eight_megabytes_or_one_frame(shape: tuple[int, int], frames: int) -> None:
    assert batch_frames(shape) == frames
