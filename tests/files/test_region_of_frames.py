"""Where the frames of a movie lie on the chip, by the metadata of Micro-Manager."""

from __future__ import annotations

import pytest

from rtsmlm.files.movies.metadata import Statements, add_micromanager


@pytest.mark.parametrize(
    ("tags", "region"),
    [
        ({"ROI": "60-100-80-64"}, (60, 100, 80, 64)),
        ({"ROI": {"PropVal": "60-100-80-64"}}, (60, 100, 80, 64)),
        ({"ROI": [60, 100, 80, 64], "Binning": "1"}, (60, 100, 80, 64)),
        ({"image_infos": [{"roi": [60, 100, 80, 64]}]}, (60, 100, 80, 64)),
        ({"ROI": "60-100-80-64", "Camera": "Cam", "Cam-Binning": "1x1"}, (60, 100, 80, 64)),
        ({"ROI": "60-100-80-64", "Camera": "Cam", "Cam-Binning": "2x2"}, None),
        ({"ROI": "60-100-0-64"}, None),
        ({"ROI": "all"}, None),
        ({"ROI": [60, 100, "wide", None]}, None),
        ({}, None),
    ],
)
def test_the_region_is_taken_from_all_generations_and_not_from_binned_pixels(
    tags: dict[str, object], region: tuple[int, int, int, int] | None
) -> None:
    into = Statements()

    add_micromanager(into, tags)

    assert into.stated.region == region
