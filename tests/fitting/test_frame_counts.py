"""Saturated pixels, blank and repeated frames, counted as the frames come."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting.frame_counts import FrameCounter, FrameCounts
from rtsmlm.frames import Pixels


def spots(n: int, peak_adu: float, ceiling: int, seed: int = 1) -> Pixels:
    """Frames of 48 x 48 pixels with eight spots of various light each, cut off at a ceiling."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    frames = np.full((n, 48, 48), 20.0)
    for frame in frames:
        for place in random.uniform(5, 43, (8, 2)):
            light = peak_adu * random.exponential()
            frame += light * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 3.4)
    adu = random.poisson(frames) + 100 + random.normal(0, 2, frames.shape)
    return np.clip(np.round(adu), 0, ceiling).astype(np.uint16)


def counted(frames: Pixels, sizes: list[int]) -> FrameCounts:
    counter = FrameCounter((frames.shape[1], frames.shape[2]))
    start = 0
    for k in range(len(frames)):
        stop = min(start + sizes[k % len(sizes)], len(frames))
        counter.add(frames[start:stop])
        start = stop
    counter.look()
    return counter.counts()


@pytest.mark.parametrize("sizes", [[1], [4], [16, 1, 3], [100]])
@pytest.mark.parametrize("ceiling", [255, 3171, 4095, 61203])
def test_every_saturated_pixel_is_counted_whatever_the_batches(
    sizes: list[int], ceiling: int
) -> None:
    frames = spots(40, 1.2 * ceiling, ceiling)

    found = counted(frames, sizes)

    full = frames == ceiling
    assert found == FrameCounts(int(full.sum()), int(full.any(axis=(1, 2)).sum()), ceiling)


def test_saturation_that_begins_late_is_counted_from_its_beginning() -> None:
    frames = np.concatenate([spots(90, 300, 4095), spots(30, 5000, 4095, seed=2)])

    found = counted(frames, [4])

    assert found.saturated_pixels == np.count_nonzero(frames == 4095)


def test_hot_pixels_above_the_ceiling_are_not_counted() -> None:
    frames = spots(64, 5000, 4095)
    frames[:, 3, 4] = 65535

    found = counted(frames, [4])

    assert found.ceiling_adu == 4095
    # Until the ceiling shows, after sixteen frames, the hot pixel is the highest.
    assert found.saturated_pixels >= np.count_nonzero(frames[20:] == 4095)


@pytest.mark.parametrize("peak", [50, 500, 8000])
def test_bright_spots_below_the_ceiling_are_not_saturated(peak: float) -> None:
    found = counted(spots(40, peak, 65535), [4])

    assert found == FrameCounts()


@pytest.mark.parametrize("sizes", [[1], [3], [50]])
def test_blank_and_repeated_frames_are_counted_across_batches(sizes: list[int]) -> None:
    frames = spots(30, 500, 65535)
    frames[[0, 1, 17]] = 0
    frames[[5, 6, 12]] = frames[[4, 4, 11]]

    found = counted(frames, sizes)

    assert (found.constant_frames, found.repeated_frames) == (3, 3)


@pytest.mark.parametrize("sizes", [[1], [3], [64]])
def test_a_movie_that_was_written_twice_begins_again(sizes: list[int]) -> None:
    once = spots(16, 500, 65535)
    blank = np.zeros((2, 48, 48), np.uint16)

    twice = counted(np.concatenate([blank, once, blank, once]), sizes)

    assert (twice.begins_again, twice.repeated_frames) == (20, 0)
    assert "frame 20 equals the first one" in twice.remarks(36)[-1]
    assert counted(np.concatenate([once[:1], once]), sizes).begins_again == 0


def test_each_count_is_said_in_a_sentence_and_nothing_where_nothing_is_wrong() -> None:
    together = FrameCounts(10, 2, 4095).plus(FrameCounts(5, 1, 4095, 3, 4))

    saturated, blank, repeated = together.remarks(60)

    assert "15 pixels are saturated (at 4095 ADU), in 3 of 60 frames" in saturated
    assert "3 of 60 frames hold one value" in blank
    assert "4 of 60 frames are equal to the one before" in repeated
    assert FrameCounts().remarks(60) == []


@pytest.mark.parametrize("cuts", [[20], [7, 50], [1, 2, 3]])
def test_counts_of_parts_put_together_are_those_of_the_whole(cuts: list[int]) -> None:
    frames = np.concatenate([spots(40, 5000, 4095), spots(20, 5000, 4095)])
    frames[20] = frames[19]  # written twice, across a cut
    frames[33] = 7  # blank
    frames[50:] = frames[:10]  # begins again, where another part begins
    together = FrameCounter((48, 48))

    for start, stop in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        part = FrameCounter((48, 48))
        if start:
            part.go_on_from(start, frames[0], frames[start - 1])
        part.add(frames[start:stop])
        part.look()
        together.extend(part.as_arrays())
    together.look()

    assert together.counts() == counted(frames, [60])
    assert together.counts().begins_again == 50
