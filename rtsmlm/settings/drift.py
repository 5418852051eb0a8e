"""Settings of the drift of the sample: taken off the rows, held by a stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rtsmlm.settings.base import Settings


class DriftSettings(Settings):
    """Drift of the sample, measured on the localizations themselves and on fiducials."""

    correct: bool = False
    """Take the drift off the places of all rows, live and once more at the end, where it is known
    best; raw_x_nm, raw_y_nm and raw_z_nm keep the places as they were localized. The drift itself
    is measured in any case, for the window and for drift.csv."""
    image: bool = True
    """Measure it on the camera's image as well, in x and y, and take that where localizations say
    less: what lies still in the sample has to stand out there."""
    hold: Literal["off", "monitor", "move"] = "monitor"
    """What becomes of the drift where [stages] names a stage for its axis: monitor shows and notes
    the set point that would hold the sample, and moves nothing; move sends it to the stage, once
    the run is armed (feedback.arm and --arm) and stages.NAME.direction is stated."""
    hold_range_nm: Annotated[float, Field(gt=0, le=5000)] = 500.0
    """Most distance from where the stage stood at the start; beyond it holding ends."""
    hold_step_nm: Annotated[float, Field(gt=0, le=100)] = 20.0
    """Most distance of one step."""
    hold_every_s: Annotated[float, Field(ge=0.5, le=3600)] = 2.0
    """Least time between two steps; frames that were exposed before a step never lead to the next
    one."""
    hold_std_nm: Annotated[float, Field(gt=0, le=100)] = 10.0
    """Holding pauses while the drift is not known to within this standard deviation."""
