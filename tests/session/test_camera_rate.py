"""The rate of a camera is that of its exposure, or of the interval that its adapter states."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtsmlm.session.camera_rate import frames_per_s_of


@pytest.mark.parametrize(
    ("exposure_ms", "stated", "rate"),
    [
        (10.0, {}, 100.0),
        (10.0, {"Camera.ActualInterval-ms": "12.5"}, 80.0),
        (10.0, {"Camera.ActualInterval-ms": "12,5"}, 80.0),
        (10.0, {"Camera.ActualInterval-ms": "0"}, 100.0),
        (10.0, {"Camera.ActualInterval-ms": "not known"}, 100.0),
        (10.0, {"Camera.Exposure": "50"}, 100.0),
        (0.0, {}, None),
        (math.nan, {}, None),
    ],
)
def test_the_rate_of_a_camera(
    spot_camera: Any, exposure_ms: float, stated: dict[str, str], rate: float | None
) -> None:
    camera = spot_camera()
    camera.exposure_ms = exposure_ms
    camera.describe = lambda: {"device": "Camera", **stated}

    assert frames_per_s_of(camera) == rate
