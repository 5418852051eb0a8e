from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.errors import CalibrationError
from rtsmlm.physics.transforms import PlaneTransform
from rtsmlm.physics.views import View, Views, split

AFFINE = PlaneTransform((3.2, 1.01, -0.02), (-1.7, 0.015, 0.99))
SECOND = PlaneTransform(
    (127.0, -1.004, 0.01, 2e-5, -1e-5, 3e-5), (1.5, 0.012, 0.997, -2e-5, 1e-5, 2e-5)
)


@pytest.fixture
def places(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.0, 256.0, (200, 2))


@pytest.mark.parametrize("transform", [AFFINE, SECOND])
def test_there_and_back_is_the_same_place(transform: PlaneTransform, places: np.ndarray) -> None:
    assert transform.inverse(transform(places)) == pytest.approx(places, abs=1e-8)


@pytest.mark.parametrize("transform", [AFFINE, SECOND])
def test_slopes_are_differences_over_small_steps(
    transform: PlaneTransform, places: np.ndarray
) -> None:
    step = 1e-4
    slopes = transform.slopes(places)

    for axis in range(2):
        by = step * np.eye(2)[axis]
        difference = (transform(places + by) - transform(places - by)) / (2 * step)
        assert slopes[:, :, axis] == pytest.approx(difference, abs=1e-6)


def test_only_a_transform_that_exchanges_one_axis_is_a_mirror() -> None:
    assert SECOND.is_mirror
    assert not AFFINE.is_mirror
    assert not PlaneTransform((255.0, -1.0, 0.0), (255.0, 0.0, -1.0)).is_mirror


def test_a_place_that_no_place_is_moved_to_comes_back_as_not_a_number() -> None:
    folded = PlaneTransform((0.0, 1.0, 0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0, 0.0, 0.0))

    assert np.isnan(folded.inverse(np.array([[-5.0, 0.0]]))).all()


def test_a_frame_is_split_into_equal_parts_that_share_no_pixel() -> None:
    side_by_side = split((200, 257), "x", ("a", "b"))
    stacked = split((200, 257), "y", ("a", "b", "c"))

    assert side_by_side == ((0, 0, 128, 200), (128, 0, 128, 200))
    assert stacked == ((0, 0, 257, 66), (0, 66, 257, 66), (0, 132, 257, 66))


def test_views_that_share_pixels_are_refused() -> None:
    with pytest.raises(CalibrationError, match="share pixels"):
        Views((View("a", (0, 0, 100, 50)), View("b", (99, 0, 100, 50))))


def test_a_view_beyond_the_frame_is_refused() -> None:
    views = Views((View("a", (0, 0, 128, 256)), View("b", (128, 0, 128, 256))))

    views.check_frame_shape((256, 256))
    with pytest.raises(CalibrationError, match="does not lie on frames of 255 x 256"):
        views.check_frame_shape((256, 255))


def test_places_that_a_shifted_view_does_not_show_are_not_seen_in_all() -> None:
    shifted = PlaneTransform((10.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    views = Views((View("a", (0, 0, 64, 64)), View("b", (64, 0, 64, 64), shifted)))

    assert views.seen_in_all(np.array([[5.0, 5.0], [20.0, 5.0]])).tolist() == [False, True]
