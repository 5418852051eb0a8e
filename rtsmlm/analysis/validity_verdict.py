"""What the validity meter has found, as figures, in two words, and in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

ENOUGH = 200
"""Spots; the median width of 200 spots of 8 standard deviations is known to 1 %."""
TOO_FEW = "too few lone spots"
NOT_JUDGED = "PSF not judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit."""

    name: str
    """Short, for a status line."""
    text: str
    """By how much, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Figures of the meter; NaN where too little was seen."""

    looked_at: int
    """Localizations in the frames that were sampled."""
    waited: bool
    """Whether too few spots are the verdict, rather than a reason to wait."""
    judges_psf: bool
    """False where the localizer knows a PSF of its own, which no fit does."""
    spots: int
    """Lone and bright ones among them that were fitted once more."""
    width_ratio: float
    """Median fitted width over the one in force."""
    chi2: float
    """Median chi² per degree of freedom of fits with the width free."""
    noise_ratio: float
    """Variance of the background over that expected."""
    repeats: int
    repeat_std: float
    """Robust standard deviation of the way between two localizations of one emitter, over that
    stated."""
    gridding: float
    """Largest relative deviation of places within the pixel from even."""
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        """Short text for a status line."""
        if self.findings:
            return "model: " + self.findings[0].name
        if not self.judges_psf and (self.waited or not math.isnan(self.noise_ratio)):
            return f"model: {NOT_JUDGED}"
        if self.spots >= ENOUGH:
            return "model ok"
        return f"model: {TOO_FEW}" if self.waited else "model: no verdict yet"

    @property
    def remark(self) -> str:
        """Why there is no verdict on the PSF, in one sentence; empty where another is."""
        if self.findings or self.spots >= ENOUGH or not self.waited:
            return ""
        if not self.looked_at:
            return "no emitters were found in the frames that were sampled"
        if not self.judges_psf:
            return (
                "the localizer was trained for one PSF, which is not compared with the spots; "
                "noise, stated errors and places within the pixel are judged"
            )
        return (
            f"of {self.looked_at} localizations that were sampled {self.spots} were bright spots "
            f"without neighbours, and the PSF is judged by {ENOUGH}: the emitters are too dense, "
            "too dim or too few; record a sparser part of the sample, or more frames"
        )

    def as_dict(self) -> dict[str, object]:
        """Return all figures as plain data."""
        figures = {
            "verdict": self.summary,
            "remark": self.remark,
            "looked_at": self.looked_at,
            "spots": self.spots,
            "repeats": self.repeats,
            "findings": [finding.text for finding in self.findings],
        }
        for name in ("width_ratio", "chi2", "noise_ratio", "repeat_std", "gridding"):
            value = getattr(self, name)
            figures[name] = None if math.isnan(value) else round(value, 4)
        return figures
