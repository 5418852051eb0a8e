"""Frame numbers that rise, whatever the camera counts; losses are seen where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.realtime.frame_numbers import MOST_LOST, RisingNumbers, steps_across_wrap


def numbered(stated: list[int]) -> tuple[list[int], list[str]]:
    warnings: list[str] = []
    numbers = RisingNumbers("cam", warnings.append)
    return [numbers.next(n) for n in stated], warnings


@pytest.mark.parametrize(
    ("stated", "given_numbers"),
    [
        ([0, 1, 5, 6], [0, 1, 5, 6]),
        ([65533, 65534, 65535, 0, 2], [65533, 65534, 65535, 65536, 65538]),
        ([65535, 65534 + 3], [65535, 65537]),
        ([32766, 32767, -32768, -32767, -1, 0], [32766, 32767, 32768, 32769, 65535, 65536]),
        ([0, MOST_LOST], [0, MOST_LOST]),
    ],
)
def test_numbers_that_can_be_true_are_believed_without_a_word(
    stated: list[int], given_numbers: list[int]
) -> None:
    assert numbered(stated) == (given_numbers, [])


@pytest.mark.parametrize(
    ("stated", "given_numbers"),
    [
        ([5, 6, 6, 7, 8], [5, 6, 7, 8, 9]),  # a repeat
        ([5, 7, 6, 8, 9], [5, 7, 8, 9, 10]),  # out of order
        ([100, 101, 0, 1, 2, 5], [100, 101, 102, 103, 104, 107]),  # started again
        ([7, 7, 7, 7], [7, 8, 9, 10]),  # stuck
        ([3, 2, 1, 0, -1], [3, 4, 5, 6, 7]),  # falling
    ],
)
def test_numbers_that_repeat_or_fall_go_on_and_are_named_once(
    stated: list[int], given_numbers: list[int]
) -> None:
    found, warnings = numbered(stated)

    assert found == given_numbers
    [warning] = warnings
    assert "its numbers repeat or fall" in warning


@pytest.mark.parametrize("stated", [3_000_000_000, 2**62, 2 + MOST_LOST + 2])
def test_after_a_bit_error_the_counter_is_believed_again(stated: int) -> None:
    found, warnings = numbered([0, 1, 2, stated, 4, 5])

    assert found == [0, 1, 2, 3, 4, 5]
    assert len(warnings) == 1


def test_a_counter_that_stays_far_off_is_followed_with_its_losses() -> None:
    found, warnings = numbered([0, 1, 2, 3_000_000_000, 3_000_000_001, 3_000_000_005])

    assert found == [0, 1, 2, 3, 4, 8]
    assert len(warnings) == 1


def test_a_counter_started_again_does_not_count_as_wrapped() -> None:
    assert steps_across_wrap(60_000, 0) is None
    assert steps_across_wrap(500, 0) is None
    assert steps_across_wrap(65_535, 0) == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60))
def test_numbers_always_rise_and_never_by_more_than_can_be_lost(stated: list[int]) -> None:
    found, _ = numbered(stated)

    assert all(0 < b - a <= MOST_LOST + 1 for a, b in zip([-1, *found], found, strict=False))
