"""Emitters that all views of a frame show at once: one detection, one place, one dye.

Rows lie where the emitter is in the first view, and count from the centre of its first pixel.
Photons and background are sums over all views; what each view has got of them is an extra column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.dye_likelihood import decide, dye_probabilities
from rtsmlm.channels.joint_detection import SumMap, detect_in_sums, sum_map, summed
from rtsmlm.channels.joint_fit import fit_views
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.bands import Scratch
from rtsmlm.fitting.box_fit import GaussianMle
from rtsmlm.fitting.boxes import F64, cut_boxes
from rtsmlm.fitting.detection import Candidates, make_candidates
from rtsmlm.fitting.filtering import Filter
from rtsmlm.fitting.frame_plan import Plan
from rtsmlm.fitting.selection import FIT_REACH_PX, reject_spikes, select_rows
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, PROBABILITY_OF_CHANNEL, Localizations
from rtsmlm.physics.views import Views
from rtsmlm.settings.channels import LEAST_PROBABILITY, UNDECIDED, ChannelsSettings
from rtsmlm.settings.run import LocalizerSettings


def photons_column(view: str) -> str:
    """Return the name of the extra column with the photons of a view."""
    return f"photons_{view.replace('.', '_')}"


def joint_columns(settings: ChannelsSettings) -> dict[str, str]:
    """Return the unit of each column that the localizer adds, by its name."""
    columns = {PROBABILITY_OF_CHANNEL: "1"} if settings.fractions else {}
    return columns | {photons_column(view.name): "photon" for view in settings.views}


class JointLocalizer(SpotLocalizer):
    """Detection in the sum of the views, a fit of one emitter to all of them, its dye.

    Parameters
    ----------
    calibration, sigma_nm, settings
        As for `SpotLocalizer`; the width is that in the first view.
    views
        The views of a frame.
    channels
        Shares of the dyes; without them every row is of no channel.

    Raises
    ------
    LocalizerError
        If the PSF width or the box cannot be used, or a view is smaller than a box.
    """

    def __init__(
        self,
        *,
        calibration: CameraCalibration,
        sigma_nm: float,
        settings: LocalizerSettings,
        views: Views,
        channels: ChannelsSettings,
    ) -> None:
        fit = GaussianMle(
            sigma_nm / calibration.pixel_nm,
            fit_sigma=False,
            excess_noise=calibration.excess_noise,
            max_iterations=settings.max_iterations,
        )
        super().__init__(calibration=calibration, sigma_nm=sigma_nm, settings=settings, fit=fit)
        self._views, self._channels = views, channels
        self._min_probability = channels.min_probability or LEAST_PROBABILITY
        self._fractions = np.array(channels.fractions, dtype=np.float64)
        self._ratios = np.array([view.sigma_ratio for view in views])
        self._map: SumMap = sum_map(views)
        for view in views:
            if min(view.shape) < self._box_px:
                raise LocalizerError(
                    f"the view {view.name} of {view.shape[1]} x {view.shape[0]} pixels is smaller "
                    f"than the box of {self._box_px} (channels.views, localizer.box_px)"
                )

    @property
    def name(self) -> str:
        """Method, PSF width, box and views."""
        names = ", ".join(view.name for view in self._views)
        return f"{super().name}, one fit to {len(self._views)} views ({names})"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile the fit, and prepare for frames of this shape; see `SpotLocalizer.warm_up`."""
        plan = self._plan(shape)
        pixels = np.full((1, *shape), 1000, dtype=np.uint16)
        pixels.flags.writeable = False
        self(FrameBatch.from_pixels(pixels))
        found = make_candidates(1)
        height, width = self._views.first.shape
        found.y[0] = found.start_y[0] = height // 2
        found.x[0] = found.start_x[0] = width // 2
        self._fit_and_select(pixels, plan, found, np.zeros(1, dtype=np.int64))

    def _filter(self, read_variance: F32) -> Filter:
        self._views.check_frame_shape((read_variance.shape[0], read_variance.shape[1]))
        return super()._filter(summed(read_variance, self._map))

    def _detect_into(
        self,
        pixels: NDArray[np.uint16],
        plan: Plan,
        scratch: Scratch,
        found: Candidates,
        first_frame: int,
    ) -> tuple[int, int]:
        n, next_frame = detect_in_sums(
            pixels,
            plan.offset_adu,
            plan.photons_per_adu,
            self._map.row,
            self._map.column,
            plan.filter,
            scratch,
            found,
            first_frame,
        )
        return n, next_frame

    def _fit_and_select(
        self,
        pixels: NDArray[np.uint16],
        plan: Plan,
        found: Candidates,
        frame_index: NDArray[np.int64],
    ) -> Localizations:
        found = found.part(self._seen(found))
        rows, light, covariance = self._fit_in_views(pixels, plan, found)
        keep = np.zeros(len(rows), dtype=np.bool_)
        height, width = self._views.first.shape
        noise = float(self._calibration.excess_noise)
        reach_px = self._sigma_px + FIT_REACH_PX
        select_rows(rows, found.frame, height, width, self._sigma_px, noise, reach_px, keep)
        rows, light, covariance = rows[keep], light[keep], covariance[keep]
        pixel_nm = self._calibration.pixel_nm
        channel, extras = self._decide(light, covariance)
        return Localizations.from_columns(
            {
                "frame": frame_index[found.frame[keep]],
                "x_nm": rows[:, boxes.X] * pixel_nm,
                "y_nm": rows[:, boxes.Y] * pixel_nm,
                "z_nm": rows[:, boxes.Z],
                "photons": rows[:, boxes.PHOTONS],
                "background": rows[:, boxes.BACKGROUND],
                "std_x_nm": rows[:, boxes.STD_X] * pixel_nm,
                "std_y_nm": rows[:, boxes.STD_Y] * pixel_nm,
                "std_z_nm": rows[:, boxes.STD_Z],
                "std_photons": rows[:, boxes.STD_PHOTONS],
                "channel": channel,
            },
            extras,
        )

    def _seen(self, found: Candidates) -> NDArray[np.bool_]:
        places = np.stack([found.start_x, found.start_y], axis=1).astype(np.float64)
        return self._views.seen_in_all(places)

    def _fit_in_views(
        self, pixels: NDArray[np.uint16], plan: Plan, found: Candidates
    ) -> tuple[F64, F64, F64]:
        """Return the fit table in pixels of the first view, photons of each view, covariances."""
        n, n_views, box = len(found.x), len(self._views), self._box_px
        photons = np.empty((n, n_views, box, box), dtype=np.float32)
        variance = np.empty_like(photons)
        start, slopes = np.empty((n, n_views, 2)), np.empty((n, n_views, 2, 2))
        places = np.stack([found.start_x, found.start_y], axis=1).astype(np.float64)
        for k, view in enumerate(self._views):
            here = view.from_first(places)
            slopes[:, k] = np.linalg.inv(view.to_first.slopes(here))
            middle = np.rint(here).astype(np.int32) - box // 2
            last = (view.shape[1] - box, view.shape[0] - box)
            inside = np.clip(middle, 0, last)
            start[:, k] = here - inside
            left, top = (inside + view.corner).astype(np.int32).T
            part, read = np.empty((2, n, box, box), dtype=np.float32)
            cut_boxes(
                pixels,
                plan.offset_adu,
                plan.photons_per_adu,
                plan.read_variance,
                (found.extra_variance / np.float32(n_views)).astype(np.float32),
                found.frame,
                np.ascontiguousarray(top),
                np.ascontiguousarray(left),
                part,
                read,
            )
            photons[:, k], variance[:, k] = part, read
        rows = boxes.fit_table(n)
        light, backgrounds = np.empty((n, n_views)), np.empty((n, n_views))
        covariance = np.empty((n, n_views, n_views))
        fit_views(
            photons,
            variance,
            start,
            slopes,
            self._sigma_px * self._ratios,
            float(self._calibration.excess_noise),
            self._settings.max_iterations,
            rows,
            light,
            covariance,
            backgrounds,
        )
        self._reject_spikes(photons, variance, start, backgrounds, rows)
        rows[:, boxes.X] += places[:, 0]
        rows[:, boxes.Y] += places[:, 1]
        return rows, light, covariance

    def _reject_spikes(
        self, photons: F32, variance: F32, start: F64, backgrounds: F64, rows: F64
    ) -> None:
        """Mark emitters that are a single bright pixel in one of the views."""
        level = rows[:, boxes.BACKGROUND].copy()
        for k in range(len(self._views)):
            rows[:, boxes.BACKGROUND] = backgrounds[:, k]
            center = np.rint(start[:, k]).astype(np.int32)
            reject_spikes(
                np.ascontiguousarray(photons[:, k]),
                np.ascontiguousarray(variance[:, k]),
                np.ascontiguousarray(center[:, 1]),
                np.ascontiguousarray(center[:, 0]),
                float(self._sigma_px * self._ratios[k]),
                float(self._calibration.excess_noise),
                rows,
            )
        rows[:, boxes.BACKGROUND] = level

    def _decide(self, light: F64, covariance: F64) -> tuple[NDArray[np.uint8], dict[str, F32]]:
        """Return the channel of each row, and the columns that are added."""
        extras: dict[str, F32] = {}
        channel = np.full(len(light), UNDECIDED, dtype=np.uint8)
        if len(self._fractions):
            found = dye_probabilities(light, covariance, self._fractions, self._channels.spread)
            channel, extras[PROBABILITY_OF_CHANNEL] = decide(found, self._min_probability)
        for k, view in enumerate(self._views):
            extras[photons_column(view.name)] = light[:, k].astype(np.float32)
        return channel, extras
