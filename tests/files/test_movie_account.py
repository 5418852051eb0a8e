"""What a movie states, what is there and what is read, and the sentences that follow."""

from __future__ import annotations

import pytest

from rtsmlm.files.movies.account import LeftOut, MovieAccount, StatedFrames, missing_numbers


def account(read: int, *stated: tuple[str, int], present: int | None = None) -> MovieAccount:
    return MovieAccount(
        read=read,
        present=read if present is None else present,
        stated=tuple(StatedFrames(source, n) for source, n in stated),
    )


def test_a_movie_whose_numbers_agree_has_no_difference() -> None:
    whole = account(30, ("the header", 30), ("movie.inf", 30))

    assert whole.differences == MovieAccount.whole(30).differences == ()
    assert whole.describe() == {
        "frames present": "30",
        "frames stated": "30 by the header; 30 by movie.inf",
    }


@pytest.mark.parametrize("stated", [20, 60])
def test_a_number_that_differs_stands_in_one_sentence_with_what_is_read(stated: int) -> None:
    differs = account(30, ("the OME-XML", stated), ("the header", 30))

    assert differs.differences == (f"the OME-XML states {stated} frames, 30 are there and read",)
    assert differs.describe()["difference"] == differs.differences[0]


def test_sources_that_agree_on_a_wrong_number_share_a_sentence() -> None:
    differs = account(1, ("the header", 2), ("movie.inf", 2))

    assert differs.differences == ("the header and movie.inf state 2 frames, 1 is there and read",)


def test_frames_that_are_there_and_not_read_are_a_difference_whatever_is_stated() -> None:
    assert account(20, present=30).differences == ("30 frames are there, 20 are read",)
    named = MovieAccount(
        read=20, present=30, left_out=(LeftOut("position 1", "position 0 was named"),)
    )
    assert named.differences == ("position 1 left out: position 0 was named",)


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([], None),
        ([4, 5, 6], None),
        ([0, 2], "1 frame is missing: 1"),
        ([3, 5, 9, 10], "4 frames are missing: 4, 6 to 8"),
        (range(0, 20, 2), "9 frames are missing: 1, 3, 5, 7, 9 and 4 more gaps"),
    ],
)
def test_missing_numbers_are_counted_and_named(numbers: list[int], sentence: str | None) -> None:
    assert missing_numbers(numbers) == sentence
