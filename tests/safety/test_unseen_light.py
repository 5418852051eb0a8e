"""UnseenLight: the silence counts from light that was not seen, and switching renews nothing."""

from __future__ import annotations

import pytest

from rtsmlm.safety.unseen_light import UnseenLight

S = 1_000_000_000


def test_light_at_the_start_has_the_whole_time_for_the_first_estimate() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.light(100 * S)

    assert unseen.too_long(103 * S) is None
    assert unseen.too_long(104 * S) == "nothing was seen for 4.0 s (limit 3 s)"


def test_dark_alone_is_no_silence() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.begin()
    unseen.dark(0)

    assert unseen.too_long(1000 * S) is None


def test_switching_off_and_on_renews_nothing() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    for t_s in range(5):
        unseen.light(t_s * S)
        unseen.dark(t_s * S + S // 2)

    assert unseen.too_long(5 * S) is not None


def test_silence_counts_from_the_end_of_the_exposure_not_from_when_it_was_known() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.light(0)
    unseen.see(1 * S)

    assert unseen.too_long(4 * S) is None
    assert unseen.too_long(4 * S + 1) is not None


@pytest.mark.parametrize("exposed_s", [1, 0])
def test_an_estimate_of_the_same_or_an_older_exposure_renews_nothing(exposed_s: int) -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.light(0)
    unseen.see(1 * S)
    unseen.see(exposed_s * S)

    assert unseen.too_long(4 * S + 1) is not None


def test_light_that_went_off_before_the_exposure_ended_was_seen_as_a_whole() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.light(0)
    unseen.dark(1 * S)
    unseen.see(2 * S)
    assert unseen.too_long(100 * S) is None
    unseen.light(200 * S)

    assert unseen.too_long(203 * S) is None
    assert unseen.too_long(204 * S) is not None


def test_light_after_the_exposure_of_the_estimate_is_not_seen_by_it() -> None:
    unseen = UnseenLight(3.0, after_first=False)
    unseen.light(2 * S)
    unseen.see(1 * S)
    unseen.dark(3 * S)

    assert unseen.too_long(5 * S) is None
    assert unseen.too_long(6 * S) is not None


def test_where_it_is_not_known_whether_estimates_come_it_holds_from_the_first_on() -> None:
    unseen = UnseenLight(3.0, after_first=True)
    unseen.light(0)
    assert unseen.too_long(100 * S) is None
    unseen.see(100 * S)

    assert unseen.too_long(103 * S) is None
    assert unseen.too_long(104 * S) is not None


def test_without_a_limit_there_is_no_silence() -> None:
    unseen = UnseenLight(None, after_first=False)
    unseen.light(0)

    assert unseen.too_long(10**18) is None
