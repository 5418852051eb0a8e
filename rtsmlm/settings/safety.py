"""Settings of the guards: how long light may last without proof, and what is done then."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtsmlm.settings.base import Settings


class SafetySettings(Settings):
    """How soon the lasers of an armed run are dark when their owner or a device is silent."""

    silence_s: Annotated[float, Field(ge=0.5, le=30, allow_inf_nan=False)] = 1.0
    """Dark so long after the program that owns the lasers was last seen alive. Below 0.5 s a busy
    machine would be taken for a frozen one."""
    device_s: Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)] = 0.75
    """A command or a question to a device that takes longer is a fault of the device."""
    confirm_s: Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)] = 1.0
    """A laser that was switched off must be seen dark within it, by its read-back or its set
    point; otherwise it is reported as not confirmed dark, and switched off again and again."""
    end_program: bool | None = None
    """End a program that is silent and holds the port of a laser, as no other program can switch
    that off. Not given: yes for `rtsmlm live`; `attach` asks for it where it is needed."""
