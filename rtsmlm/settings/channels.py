"""Settings of channels: the views of a frame, and what tells one dye from another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from rtsmlm.errors import CalibrationError
from rtsmlm.physics.transforms import N_TERMS, PlaneTransform
from rtsmlm.physics.views import View, Views
from rtsmlm.settings.base import Settings

SUM_TOLERANCE = 0.02
"""Shares of a dye are measured, and rounded: their sum is 1 to this."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Of views and channels: they are parts of names of files and columns."""
LEAST_PROBABILITY = 0.95
"""Of a dye that is decided by its shares of light."""
UNDECIDED = 255
"""Channel of a row whose dye is not decided."""


class ViewSettings(Settings):
    """One image of the sample on the frame: see `rtsmlm.physics.views.View`."""

    name: str = Field(pattern=NAME)
    region: tuple[int, int, int, int]
    """x, y, width and height on the frame, in pixels."""
    x: tuple[float, ...] = (0.0, 1.0, 0.0)
    """x in the first view: coefficients of 1, x, y (affine) and of x², x y, y² (second order)."""
    y: tuple[float, ...] = (0.0, 0.0, 1.0)
    """y in the first view."""
    sigma_ratio: float = Field(default=1.0, gt=0.2, lt=5.0)
    """Width of the PSF in this view, relative to the first."""

    @model_validator(mode="after")
    def _possible(self) -> ViewSettings:
        if len(self.x) != len(self.y) or len(self.x) not in N_TERMS.values():
            raise ValueError(f"x and y of view {self.name} need 3 or 6 coefficients each")
        if min(self.region[:2]) < 0 or min(self.region[2:]) < 1:
            raise ValueError(
                f"region {list(self.region)} of view {self.name} is no part of a frame "
                "(x, y, width, height)"
            )
        return self

    def view(self) -> View:
        """Return the view."""
        return View(self.name, self.region, PlaneTransform(self.x, self.y), self.sigma_ratio)


class ChannelsSettings(Settings):
    """Channels: dyes, or views of the sample in other light.

    Without `fractions` each view is a channel; with them an emitter is seen in all views at once,
    and its share of light in each tells which dye it is.
    """

    names: tuple[Annotated[str, StringConstraints(pattern=NAME)], ...] = ()
    """Name of each channel, in the order of the column `channel`. Not given: those of the views."""
    views: tuple[ViewSettings, ...] = ()
    """Parts of the frame, as `rtsmlm calibrate channels` writes them; all places refer to the first
    one. Empty: the frame is one view."""
    fractions: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...] = ()
    """Share of the photons of each dye in each view: a row for each of `names`, a column for each
    of `views`."""
    spread: float = Field(default=0.01, ge=0, lt=0.5)
    """How much the shares of one dye vary from emitter to emitter, standard deviation."""
    min_probability: float | None = Field(default=None, gt=0, lt=1)
    """Rows whose most probable dye is less probable are in no channel (255). Not given: 0.95, or
    what the network of `localizer.colour` asks for; a `localizer.name` that tells dyes apart by
    itself leaves none out then."""

    @field_validator("names", mode="before")
    @classmethod
    def _one_or_more(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @model_validator(mode="after")
    def _fit_together(self) -> ChannelsSettings:
        if self.views:
            try:
                self.layout()
            except CalibrationError as error:
                raise ValueError(str(error)) from error
        names = self.channel_names()
        if len(set(names)) < len(names):
            raise ValueError(f"channels.names has a name twice: {', '.join(names)}")
        if len(names) > UNDECIDED:
            raise ValueError(f"there are {len(names)} channels; {UNDECIDED} are possible")
        if self.fractions:
            self._check_fractions()
        return self

    def check_names_of_views(self) -> None:
        """Raise `ValueError` unless each view, which is a channel, has a name or none has."""
        if self.views and self.names and len(self.names) != len(self.views):
            raise ValueError(
                f"{len(self.names)} names for {len(self.views)} views: without channels.fractions "
                "each view is a channel"
            )

    def _check_fractions(self) -> None:
        if len(self.fractions) != len(self.names) or len(self.names) < 1:
            raise ValueError(
                f"channels.fractions has {len(self.fractions)} rows; channels.names has "
                f"{len(self.names)} dyes: give a row for each"
            )
        for name, row in zip(self.names, self.fractions, strict=True):
            if len(row) != len(self.views):
                raise ValueError(
                    f"channels.fractions of {name} has {len(row)} shares; there are "
                    f"{len(self.views)} views"
                )
            if abs(sum(row) - 1.0) > SUM_TOLERANCE:
                raise ValueError(
                    f"channels.fractions of {name} have the sum {sum(row):.3f}; the shares of all "
                    "views together are 1"
                )

    def channel_names(self) -> tuple[str, ...]:
        """Return the name of each channel; empty where there is but one without a name."""
        return self.names or tuple(view.name for view in self.views)

    def check_frame_shape(self, shape: tuple[int, int]) -> None:
        """Raise `CalibrationError` if a view does not lie on frames of this height and width."""
        if (layout := self.layout()) is not None:
            layout.check_frame_shape(shape)

    def layout(self) -> Views | None:
        """Return the views of a frame, None where it is one.

        Raises
        ------
        CalibrationError
            If they share pixels or a name.
        """
        return Views(tuple(view.view() for view in self.views)) if self.views else None
