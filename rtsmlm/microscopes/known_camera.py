"""KnownCamera: what names a camera, its figures in each read-out mode, and the source of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FigureName = Literal[
    "pixel_um", "offset_adu", "e_per_adu", "em_gain", "read_noise_e", "magnification"
]
"""Figures of a camera. `pixel_um` is the pixel of the chip, `magnification` that of the microscope
in front of it, all lenses together. The others mean what they mean in the settings."""
_OF_THE_OPTICS = ("pixel_um", "magnification")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a camera."""

    value: float
    source: str
    """Data sheet, paper, or who measured it."""


class CameraMode(BaseModel):
    """Figures that hold only while properties of the camera have certain values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: dict[str, str] = Field(default_factory=dict)
    """Values by the name of the property; `*` stands for anything."""
    figures: dict[FigureName, Annotated[float, Field(ge=0, lt=1e6)]] = Field(default_factory=dict)
    sources: dict[FigureName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Data sheet, paper, or who measured it and when, for each figure."""

    @model_validator(mode="after")
    def _has_sources(self) -> Self:
        for name, value in self.figures.items():
            if value == 0 and name != "offset_adu":
                raise ValueError(f"{name} is 0, which no camera has")
            if name not in self.sources:
                raise ValueError(
                    f"nothing says where {name} = {value:g} is from; add it to its sources, such "
                    "as the data sheet or the day it was measured"
                )
        return self

    def holds(self, properties: Mapping[str, str]) -> bool:
        """Tell whether the properties of a camera are those of this mode."""
        return all(
            fnmatchcase(properties.get(name, "").strip().casefold(), value.strip().casefold())
            for name, value in self.when.items()
        )


class KnownCamera(CameraMode):
    """A camera of the database; `when` tells it from others of its name, by its serial number."""

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["sCMOS", "CMOS", "EMCCD", "CCD", "simulated"] = "sCMOS"
    named: tuple[str, ...] = ()
    """Patterns (`*` stands for anything) of the texts that name it, in any case of letters."""
    modes: tuple[CameraMode, ...] = ()
    note: str = ""
    """What a user has to know."""

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if not (self.named or self.when):
            raise ValueError("it needs named or when, by which it is known")
        return self

    def is_named(self, names: Collection[str], properties: Mapping[str, str]) -> bool:
        """Tell whether this is the camera that is so named and has these properties.

        Parameters
        ----------
        names
            Texts that name it: its label, its model, its serial number.
        properties
            Values by the name of the property.
        """
        lower = [name.casefold() for name in names]
        by_name = any(fnmatchcase(name, p.casefold()) for p in self.named for name in lower)
        return (by_name or not self.named) and self.holds(properties)

    def figures_with(self, properties: Mapping[str, str], *, binned: bool) -> dict[str, Figure]:
        """Return its figures, those of its mode before those of all modes.

        Parameters
        ----------
        properties
            Values by the name of the property.
        binned
            Leave out what binning changes (in sums, in means, or on the chip), but where `when`
            names the binning.
        """
        found: dict[str, Figure] = {}
        for mode in (self, *self.modes):
            if mode.holds(properties):
                all_hold = not binned or "Binning" in mode.when
                found |= {
                    name: Figure(value, mode.sources[name])
                    for name, value in mode.figures.items()
                    if all_hold or name in _OF_THE_OPTICS
                }
        return found
