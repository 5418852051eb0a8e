"""Views that show different dyes: each is localized by itself, and is a channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsmlm.channels.first_view import crop
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.views import View, Views
from rtsmlm.protocols import ALL, Localizer, RecallTable


class SeparateLocalizer:
    """One localizer for each view; rows lie where they are in the first view.

    Parameters
    ----------
    views
        The views of a frame.
    localizers
        One for each, made for the part of the camera that the view lies on.
    pixel_nm
        Camera pixel in the sample plane.
    """

    def __init__(self, views: Views, localizers: Sequence[Localizer], pixel_nm: float) -> None:
        self._views, self._localizers = views, tuple(localizers)
        self._pixel_nm = pixel_nm

    @property
    def name(self) -> str:
        """Name of the localizer and of the views."""
        names = ", ".join(view.name for view in self._views)
        return f"{self._localizers[0].name}, each of {len(self._views)} views by itself ({names})"

    @property
    def neighbours(self) -> int:
        """How many frames before and after a frame they use."""
        return max(one.neighbours for one in self._localizers)

    @property
    def uses_all_cores(self) -> bool:
        """True if one of them keeps all cores busy by itself."""
        return any(one.uses_all_cores for one in self._localizers)

    @property
    def max_local_per_um2(self) -> float:
        """Densest place of one view; emitters of other views are in no one's way."""
        return min(one.max_local_per_um2 for one in self._localizers)

    @property
    def recall(self) -> RecallTable:
        """That of the localizer of the first view."""
        return self._localizers[0].recall

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Prepare each localizer for its view; see `Localizer.warm_up`.

        Raises
        ------
        CalibrationError
            If a view does not lie on frames of this shape.
        """
        self._views.check_frame_shape(shape)
        for view, localizer in zip(self._views, self._localizers, strict=True):
            localizer.warm_up(view.shape)

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the rows of all views, by frame; see `Localizer`."""
        self._views.check_frame_shape(batch.shape)
        parts = [
            self._on_first(k, view, localizer(crop(batch, view.region), targets))
            for k, (view, localizer) in enumerate(zip(self._views, self._localizers, strict=True))
        ]
        return Localizations.concatenate(parts).sorted_by_frame()

    def _on_first(self, channel: int, view: View, rows: Localizations) -> Localizations:
        """Return the rows where they lie in the first view; what it does not show is left out."""
        columns = rows.columns()
        places = np.stack([rows.x_nm, rows.y_nm], axis=1).astype(np.float64) / self._pixel_nm
        moved = view.to_first(places)
        squares = view.to_first.slopes(places) ** 2
        variances = np.stack([rows.std_x_nm, rows.std_y_nm], axis=1).astype(np.float64) ** 2
        std = np.sqrt(np.einsum("nij,nj->ni", squares, variances))
        columns["x_nm"], columns["y_nm"] = moved.T * self._pixel_nm
        columns["std_x_nm"], columns["std_y_nm"] = std.T
        columns["channel"] = np.full(len(rows), channel, dtype=np.uint8)
        found = Localizations.from_columns(columns, rows.extras)
        return found.take(self._views.first.holds(moved))
