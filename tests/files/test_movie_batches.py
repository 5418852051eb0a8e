"""Movie: the promises that hold for every reader, on a movie in memory."""

from __future__ import annotations

import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.movie import Movie, MovieFacts

PATH = Path("folder/movie.mem")


class MemoryMovie(Movie):
    """Frames whose pixels hold their position; counts how often they are fetched."""

    def __init__(
        self, n_frames: int, *, dtype: str = "<u2", broken: int = -1, **facts: Any
    ) -> None:
        super().__init__(
            MovieFacts(
                path=PATH, kind="memory", shape=(2, 3), n_frames=n_frames,
                dtype=np.dtype(dtype), **facts,
            )
        )  # fmt: skip
        self.fetched: list[tuple[int, int]] = []
        self._broken = broken

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        self.fetched.append((start, stop))
        if start <= self._broken < stop:
            zlib.decompress(b"this is not compressed")
        frames = np.empty((stop - start, 2, 3), self.dtype)
        frames[:] = np.arange(start, stop)[:, None, None]
        return frames

    def close(self) -> None:
        pass


@given(
    st.integers(1, 60),
    st.integers(1, 70),
    st.integers(0, 70),
    st.none() | st.integers(0, 90),
)
def test_batches_cover_a_span_once_in_order_and_none_is_empty(
    n_frames: int, size: int, start: int, stop: int | None
) -> None:
    batches = list(MemoryMovie(n_frames).batches(size, start, stop))

    end = n_frames if stop is None else min(stop, n_frames)
    numbers = [number for batch in batches for number in batch.index.tolist()]
    assert numbers == list(range(start, end))
    assert all(0 < len(batch) <= size for batch in batches)
    assert all(len(batch) == size for batch in batches[:-1])
    assert all((b.pixels == b.index[:, None, None]).all() for b in batches)


@given(st.lists(st.integers(0, 39), max_size=50))
def test_frames_come_in_the_order_asked_for_and_neighbours_in_one_go(wanted: list[int]) -> None:
    movie = MemoryMovie(40)

    pixels = movie.read(wanted)

    assert pixels.shape == (len(wanted), 2, 3)
    assert pixels[:, 0, 0].tolist() == wanted
    assert [n for first, last in movie.fetched for n in range(first, last)] == wanted
    runs = 1 + sum(b != a + 1 for a, b in pairwise(wanted))
    assert len(movie.fetched) == (runs if wanted else 0)


@pytest.mark.parametrize("position", [-1, 40, 10**12])
def test_a_position_outside_is_named_and_nothing_is_fetched(position: int) -> None:
    movie = MemoryMovie(40)

    with pytest.raises(FileFormatError, match=f"frame {position} is not in .*frames 0 to 39"):
        movie.read([3, position])

    assert movie.fetched == []


@pytest.mark.parametrize(("size", "start"), [(0, 0), (-1, 0), (5, -1)])
def test_a_span_that_is_none_is_a_wrong_setting(size: int, start: int) -> None:
    with pytest.raises(ConfigError, match=f"frames from {start} on, {size} at a time"):
        next(MemoryMovie(5).batches(size, start))


def test_whatever_a_decoder_raises_names_the_frames_that_cannot_be_read() -> None:
    movie = MemoryMovie(20, broken=13)
    batches = movie.batches(5)

    assert [len(next(batches)) for _ in range(2)] == [5, 5]
    with pytest.raises(FileFormatError, match=r"frames 10 to 14 of .*movie\.mem cannot be read"):
        next(batches)
    assert len(movie.read([14, 15])) == 2, "the frames behind it are still there"


def test_times_and_numbers_of_the_camera_follow_their_frames_into_batches() -> None:
    index = np.array([0, 1, 5, 6, 9])
    movie = MemoryMovie(5, frame_index=index, t_exposure_end_ns=1000 * index)

    batches = list(movie.batches(2, start=1))

    assert [batch.index.tolist() for batch in batches] == [[1, 5], [6, 9]]
    assert [b.t_exposure_end_ns.tolist() for b in batches] == [[1000, 5000], [6000, 9000]]
    assert movie.read([2])[0, 0, 0] == 2, "positions, not camera numbers"


def test_a_movie_that_states_no_times_has_none() -> None:
    movie = MemoryMovie(5)

    assert movie.frame_index is None
    assert movie.t_exposure_end_ns is None
    assert movie.exposure_ms is None
    assert not next(movie.batches(5)).t_exposure_end_ns.any()


@pytest.mark.parametrize("dtype", ["<c8", "S4", "M8[s]", "?", "O", ">f16"])
def test_values_of_a_type_that_no_camera_has_are_refused(dtype: str) -> None:
    with pytest.raises(FileFormatError, match="export the movie as 16-bit"):
        MemoryMovie(5, dtype=dtype)


@pytest.mark.parametrize("n_frames", [0, -1])
def test_a_movie_without_frames_is_none(n_frames: int) -> None:
    with pytest.raises(FileFormatError, match=r"holds no complete frame \(memory\)"):
        MemoryMovie(n_frames)


def test_notes_and_details_are_described_in_plain_words() -> None:
    movie = MemoryMovie(3, notes=("cut short", "byte order guessed"), details={"camera": "Ham"})

    described = movie.describe()

    assert described["note"] == "cut short; byte order guessed"
    assert described["camera"] == "Ham"
    assert described["frames"] == "3"
    assert described["shape"] == "2 x 3"
    assert "note" not in MemoryMovie(3).describe()
