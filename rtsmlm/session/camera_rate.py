"""How many frames a second a camera is about to deliver."""

from __future__ import annotations

import math
from contextlib import suppress

from rtsmlm.protocols import Camera

_INTERVAL = "ActualInterval-ms"
"""Property in which adapters of Micro-Manager state the time from frame to frame."""


def frames_per_s_of(camera: Camera) -> float | None:
    """Return the rate that the camera states, else that of its exposure; None if it states neither.

    A camera that reads out after each exposure and does not say so is slower than this.

    Parameters
    ----------
    camera
        Ready to be started.
    """
    intervals_ms = [camera.exposure_ms]
    for name, text in camera.describe().items():
        if name.rpartition(".")[2] == _INTERVAL:
            with suppress(ValueError):
                intervals_ms.append(float(text.replace(",", ".")))
    interval_ms = max(intervals_ms)
    return 1000.0 / interval_ms if interval_ms > 0 and math.isfinite(interval_ms) else None
