"""Settings of the PSF: its width, or the curves of an astigmatic one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves, Wobble
from rtsmlm.settings.base import Settings


class WidthCurveSettings(Settings):
    """Width of an astigmatic PSF along one axis: see `rtsmlm.physics.astigmatism.WidthCurve`."""

    sigma0_nm: float = Field(gt=0)
    """Width in focus."""
    focus_nm: float
    """z of the focus of this axis."""
    depth_nm: float = Field(gt=0)
    """Distance from focus at which the width has grown by the square root of two."""
    cubic: float = 0.0
    quartic: float = 0.0


class WobbleSettings(Settings):
    """What is found of a real spot beside its place: see `rtsmlm.physics.astigmatism.Wobble`."""

    z_nm: tuple[float, ...] = Field(min_length=2)
    """z as found, ascending."""
    x_nm: tuple[float, ...]
    """How far off x is there; taken off all localizations."""
    y_nm: tuple[float, ...]
    along_z_nm: tuple[float, ...]
    std_x: tuple[Annotated[float, Field(gt=0)], ...]
    """Factor on the stated error of x: a real spot is no Gaussian."""
    std_y: tuple[Annotated[float, Field(gt=0)], ...]
    std_z: tuple[Annotated[float, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _one_each(self) -> WobbleSettings:
        if not all(a < b for a, b in pairwise(self.z_nm)):
            raise ValueError("z_nm of the wobble must ascend")
        for name in ("x_nm", "y_nm", "along_z_nm", "std_x", "std_y", "std_z"):
            if len(getattr(self, name)) != len(self.z_nm):
                raise ValueError(
                    f"{name} of the wobble holds {len(getattr(self, name))} values; z_nm has "
                    f"{len(self.z_nm)}, and there must be as many"
                )
        return self


class AstigmatismSettings(Settings):
    """Widths of an astigmatic PSF against z, as `rtsmlm calibrate psf --astigmatic` writes them."""

    z_min_nm: float
    """Where the curves begin; nearer to the objective no z is stated."""
    z_max_nm: float
    x: WidthCurveSettings
    y: WidthCurveSettings
    wobble: WobbleSettings | None = None
    """What is taken off x, y and z of localizations; None takes nothing off."""

    @model_validator(mode="after")
    def _ascending(self) -> AstigmatismSettings:
        if not self.z_min_nm < self.z_max_nm:
            raise ValueError(f"z_min_nm {self.z_min_nm} must lie below z_max_nm {self.z_max_nm}")
        return self

    @classmethod
    def of(cls, curves: WidthCurves) -> AstigmatismSettings:
        """Return curves as settings."""
        return cls.model_validate(asdict(curves))

    def curves(self) -> WidthCurves:
        """Return the curves."""
        x, y = WidthCurve(**self.x.model_dump()), WidthCurve(**self.y.model_dump())
        wobble = None if self.wobble is None else Wobble(**self.wobble.model_dump())
        return WidthCurves(x=x, y=y, z_min_nm=self.z_min_nm, z_max_nm=self.z_max_nm, wobble=wobble)


class PsfSettings(Settings):
    """The point-spread function."""

    sigma_nm: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Standard deviation of the Gaussian PSF; auto measures it on the first frames."""
    astigmatism: AstigmatismSettings | None = None
    """Curves of an astigmatic PSF, from beads; with them emitters get a z."""
    refine: bool = True
    """Correct what is stated, where lone emitters of the first frames show otherwise: the width, or
    the curves; and find ellipticity and halo. It is said, and false keeps what is stated."""
    ellipticity: float = Field(default=1.0, gt=0.5, lt=2.0)
    """Width along x over that along y of a PSF without depth, about `sigma_nm`."""
    halo: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of an emitter's light in a broad ring, which a fitted Gaussian takes for background:
    photons are stated with it."""
    table: Path | None = None
    """Image of beads at every depth, a file of `rtsmlm calibrate psf --table`: emitters are fitted
    with it instead of a Gaussian; None takes the Gaussian."""

    @property
    def known_sigma_nm(self) -> float | None:
        """The width that is known before any frame is seen; None if it must be measured.

        With curves it is the width that is typical of them, for what needs a single number.
        """
        if self.sigma_nm != "auto":
            return self.sigma_nm
        return None if self.astigmatism is None else self.astigmatism.curves().mean_nm()

    def with_measured(self, values: Mapping[str, float]) -> PsfSettings:
        """Return the settings with what was measured on the first frames beside the width.

        Parameters
        ----------
        values
            `ellipticity` and `halo`; of the curves `x_sigma0_nm`, `x_focus_nm`, `y_sigma0_nm` and
            `y_focus_nm`. What is not among them stays.
        """
        update: dict[str, object] = {
            k: v for k, v in values.items() if k in ("ellipticity", "halo")
        }
        if (curves := self.astigmatism) is not None:
            axes: dict[str, object] = {}
            for axis, curve in (("x", curves.x), ("y", curves.y)):
                keys = {k: values[f"{axis}_{k}"] for k in _OF_CURVES if f"{axis}_{k}" in values}
                axes[axis] = curve.model_copy(update=keys)
            update["astigmatism"] = curves.model_copy(update=axes)
        return self.model_copy(update=update)


_OF_CURVES = ("sigma0_nm", "focus_nm")
