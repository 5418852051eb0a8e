"""Settings of the drills of a rig: what `rtsmlm hil` measures, and against which limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtsmlm.settings.base import Settings


class HilSettings(Settings):
    """Hardware in the loop: how a rig is rehearsed, and what counts as good enough."""

    camera_s: Annotated[float, Field(ge=1, le=600)] = 4.0
    """Length of the run from which rate, losses and latencies of the camera are taken."""
    rate_tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The camera may be slower than its exposure allows by this part."""
    p99_ms: Annotated[float, Field(gt=0)] = 100.0
    """Limit of the 99th percentile of every latency."""
    drill_power: Annotated[float, Field(gt=0)] | None = None
    """Power of the steered laser in the drills, in its own unit. Not given: twice the least power.
    Never above its cap."""
    dark_s: Annotated[float, Field(gt=0)] = 1.0
    """From a fault to dark."""
    sentinel_s: Annotated[float, Field(gt=0)] = 15.0
    """From the death of the whole program to dark: the lasers have to be loaded anew."""
    responds: bool = True
    """Whether the density answers to the laser. If not, the loop has to find that out."""
    step_s: Annotated[float, Field(ge=10, le=600)] = 30.0
    """Length of each half of the step response: from dark to the target, then to twice of it."""
    settle_s: Annotated[float, Field(gt=0)] = 30.0
    """Limit of the time from the first light to within 20 % of the target."""
    recover_s: Annotated[float, Field(gt=0)] = 20.0
    """The same after the target was doubled."""
    overshoot: Annotated[float, Field(gt=0)] = 0.3
    """Limit of how far the 5-s mean goes beyond the target, as a part of it."""
    bias: Annotated[float, Field(gt=0)] = 0.05
    """Limit of the mean deviation from the target once settled, as a part of it."""
