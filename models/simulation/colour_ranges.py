"""Dyes that a network tells apart by their PSFs: one frozen section of a recipe."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from rtsmlm.settings.base import Settings


class ColourSection(Settings):
    """Dyes seen through one phase mask; the mask is stated for the wavelength of `optics`."""

    names: tuple[str, ...] = ("mEos3.2", "AF647")
    """In the order of the channels."""
    wavelengths_nm: tuple[float, ...] = (606.0, 688.0)
    """Mean wavelength of the light that is detected of each."""
    crosstalk_weight: float = Field(default=0.5, ge=0)
    """Weight of light that two channels claim at one place, in the loss."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if len(self.names) != len(self.wavelengths_nm) or not self.names:
            raise ValueError(
                f"colours has {len(self.names)} names and {len(self.wavelengths_nm)} wavelengths: "
                "give one for each dye"
            )
        if min(self.wavelengths_nm) <= 0.0:
            raise ValueError(f"colours.wavelengths_nm are {self.wavelengths_nm}: all must be > 0")
        return self
