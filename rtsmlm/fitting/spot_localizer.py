"""What all localizers of single spots share: detect, cut boxes, fit, select."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.bands import Scratch, make_scratch
from rtsmlm.fitting.box_fit import BackgroundFit, BoxFit, WithBackground
from rtsmlm.fitting.box_places import CUT_AGAIN, box_corners, moved_to, off_center
from rtsmlm.fitting.boxes import F64, I32, cut_boxes, default_box_px
from rtsmlm.fitting.detection import Candidates, detect_in_batch, make_candidates
from rtsmlm.fitting.filtering import Filter, make_filter
from rtsmlm.fitting.fit_rows import table_of
from rtsmlm.fitting.frame_plan import Plan, make_plan
from rtsmlm.fitting.selection import FIT_REACH_PX, reject_spikes, select_rows
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import COLUMN_DTYPES, F32, Localizations
from rtsmlm.protocols import ALL, RecallTable
from rtsmlm.settings.run import LocalizerSettings

FIT_RECALL: RecallTable = np.array(
    [
        [0.0, 0.0020, 0.0031, 0.0046, 0.0068, 0.0113, 0.0135],
        [1.02, 1.045, 1.08, 1.13, 1.27, 1.51, 1.83],
    ]
)
"""Recall of gaussian-mle, up to 1.5 emitters per um2.

Measured on simulated frames with emitters at random places (sigma 1.3 px of 100 nm, 500 and 1500
photons with a spread of 40 %, on for three frames in the mean, sCMOS). Beyond the end the count
says next to nothing of the truth."""
MAX_LOCAL_FIT_PER_UM2 = 0.3
"""A fit takes every spot for one emitter."""

FIRST_CAPACITY = 4096
# Fitted at once: 8192 boxes of 9 pixels and their variances are 5 MB.
FITS_AT_ONCE = 8192


class SpotLocalizer:
    """Detection, a fit of the box around each candidate, selection.

    Parameters
    ----------
    calibration
        Camera calibration; maps must have the shape of the frames.
    sigma_nm
        Standard deviation of the PSF, for detection and selection.
    settings
        Threshold and box.
    fit
        Boxes to parameters.

    Raises
    ------
    LocalizerError
        If the PSF width or the box cannot be used.
    """

    def __init__(
        self,
        *,
        calibration: CameraCalibration,
        sigma_nm: float,
        settings: LocalizerSettings,
        fit: BoxFit,
    ) -> None:
        self._box_fit = fit
        self._calibration = calibration
        self._settings = settings
        self._sigma_px = sigma_nm / calibration.pixel_nm
        if not 0.3 <= self._sigma_px <= 8.0:
            raise LocalizerError(
                f"the PSF of sigma {sigma_nm:.0f} nm is {self._sigma_px:.2f} px of "
                f"{calibration.pixel_nm:.0f} nm; 0.3 to 8 px can be fitted (psf.sigma_nm, "
                "camera.pixel_nm)"
            )
        self._box_px = settings.box_px or default_box_px(self._sigma_px)
        self._fit_reach_px = FIT_REACH_PX
        if self._box_px % 2 == 0 and not fit.is_centered:
            raise LocalizerError(
                f"localizer.box_px is {self._box_px}; it must be odd, so that a box has a centre"
            )
        self._plans: dict[tuple[int, int], Plan] = {}
        # Scratch memory is written while the GIL is free, hence one for each thread.
        self._local = threading.local()

    @property
    def name(self) -> str:
        """Method, PSF width and box."""
        sigma_nm = self._sigma_px * self._calibration.pixel_nm
        return f"{self._box_fit.method}, sigma {sigma_nm:.1f} nm, box {self._box_px} px"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile the fit, and prepare for frames of this shape.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the shape.
        LocalizerError
            If the shape is smaller than a box.
        """
        plan = self._plan(shape)
        pixels = np.full((1, *shape), 1000, dtype=np.uint16)
        pixels.flags.writeable = False
        self(FrameBatch.from_pixels(pixels))
        found = make_candidates(1)
        found.y[0] = found.start_y[0] = shape[0] // 2
        found.x[0] = found.start_x[0] = shape[1] // 2
        self._fit_and_select(pixels, plan, found, np.zeros(1, dtype=np.int64))

    neighbours = 0
    uses_all_cores = False
    max_local_per_um2 = MAX_LOCAL_FIT_PER_UM2
    recall = FIT_RECALL

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames, by frame, then from top to bottom.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the frames.
        LocalizerError
            If the frames are not uint16 or smaller than a box.
        """
        return Localizations.concatenate(self._parts(batch, targets))

    def _parts(self, batch: FrameBatch, targets: slice) -> list[Localizations]:
        if targets != ALL:
            batch = batch.frames(*targets.indices(len(batch))[:2])
        pixels = batch.pixels
        if pixels.dtype != np.uint16 or pixels.ndim != 3:
            raise LocalizerError(
                f"frames are {pixels.dtype} of shape {pixels.shape}; the localizer takes uint16 "
                "of shape (n, height, width)"
            )
        plan = self._plan(batch.shape)
        # Read-only arrays, as from a file, are another type to numba: all are made
        # read-only, so that nothing is compiled twice.
        pixels = np.ascontiguousarray(pixels).view()
        pixels.flags.writeable = False
        parts: list[Localizations] = []
        first_frame = 0
        while first_frame < len(pixels):
            found, first_frame = self._detect(pixels, plan, first_frame)
            for start in range(0, len(found.x), FITS_AT_ONCE):
                part = found.part(slice(start, start + FITS_AT_ONCE))
                parts.append(self._fit_and_select(pixels, plan, part, batch.index))
        return parts

    def _plan(self, shape: tuple[int, int]) -> Plan:
        if shape not in self._plans:
            calibration = self._calibration
            calibration.check_frame_shape(shape)
            if min(shape) < self._box_px:
                # The box of a network is what it was trained on, and no setting.
                smaller = "" if self._box_fit.is_centered else " or a smaller localizer.box_px"
                raise LocalizerError(
                    f"frames of {shape[0]} x {shape[1]} pixels are smaller than the box of "
                    f"{self._box_px} of {self._box_fit.method}; use a larger region of "
                    f"interest{smaller}"
                )
            self._plans[shape] = make_plan(calibration, shape, self._filter)
        return self._plans[shape]

    def _filter(self, read_variance: F32) -> Filter:
        """Return the filter of the image in which emitters are detected: the frame."""
        return make_filter(
            read_variance,
            self._sigma_px,
            threshold=self._settings.threshold,
            excess_noise=self._calibration.excess_noise,
        )

    def _scratch(self, shape: tuple[int, int]) -> Scratch:
        held: tuple[tuple[int, int], Scratch] | None = getattr(self._local, "scratch", None)
        if held is None or held[0] != shape:
            held = (shape, make_scratch(self._plan(shape).filter))
            self._local.scratch = held
        return held[1]

    def _detect(
        self, pixels: NDArray[np.uint16], plan: Plan, first_frame: int
    ) -> tuple[Candidates, int]:
        scratch = self._scratch(plan.offset_adu.shape)
        found: Candidates = getattr(self._local, "found", None) or make_candidates(FIRST_CAPACITY)
        while True:
            n, next_frame = self._detect_into(pixels, plan, scratch, found, first_frame)
            self._local.found = found
            if next_frame > first_frame:
                return found.part(slice(n)), next_frame
            found = make_candidates(2 * len(found.x))

    def _detect_into(
        self,
        pixels: NDArray[np.uint16],
        plan: Plan,
        scratch: Scratch,
        found: Candidates,
        first_frame: int,
    ) -> tuple[int, int]:
        """Detect from a frame on while there is room; see `detect_in_batch`."""
        n, next_frame = detect_in_batch(
            pixels,
            plan.offset_adu,
            plan.photons_per_adu,
            plan.filter,
            scratch,
            found,
            first_frame,
        )
        return n, next_frame

    def use_background(self, background: BackgroundFit) -> None:
        """Fit on the background that this states for each box, from now on."""
        excess_noise = float(self._calibration.excess_noise)
        self._box_fit = WithBackground(self._box_fit, background, excess_noise=excess_noise)

    def _fit_candidates(
        self, pixels: NDArray[np.uint16], plan: Plan, found: Candidates
    ) -> tuple[F64, F32 | None]:
        """Return the fit table, positions in pixels of the frame, and the extra columns."""
        rows, extras = self._fit_boxes(pixels, plan, found)
        for _ in range(CUT_AGAIN if self._box_fit.is_centered else 0):
            again = off_center(rows, found)
            if not len(again):
                break
            rows[again], new = self._fit_boxes(pixels, plan, moved_to(rows, found, again))
            if extras is not None and new is not None:
                extras[again] = new
        return rows, extras

    def _fit_boxes(
        self, pixels: NDArray[np.uint16], plan: Plan, found: Candidates
    ) -> tuple[F64, F32 | None]:
        photons, variance, top, left = self._cut(pixels, plan, found)
        rows = boxes.fit_table(len(found.x))
        start_x = (found.start_x - left).astype(np.float32)
        start_y = (found.start_y - top).astype(np.float32)
        extras = self._box_fit(photons, variance, start_x, start_y, rows)
        center_y = (found.y - top).astype(np.int32)
        center_x = (found.x - left).astype(np.int32)
        excess_noise = float(self._calibration.excess_noise)
        reject_spikes(
            photons, variance, center_y, center_x, float(self._sigma_px), excess_noise, rows
        )
        rows[:, boxes.X] += left
        rows[:, boxes.Y] += top
        return rows, extras

    def _cut(
        self, pixels: NDArray[np.uint16], plan: Plan, found: Candidates
    ) -> tuple[F32, F32, I32, I32]:
        """Return light and read variance of the boxes, and their first rows and columns."""
        box = self._box_px
        n = len(found.x)
        top, left = box_corners(
            found, box, plan.offset_adu.shape, is_centered=self._box_fit.is_centered
        )
        photons = np.empty((n, box, box), dtype=np.float32)
        variance = np.empty((n, box, box), dtype=np.float32)
        cut_boxes(
            pixels,
            plan.offset_adu,
            plan.photons_per_adu,
            plan.read_variance,
            found.extra_variance,
            found.frame,
            top,
            left,
            photons,
            variance,
        )
        return photons, variance, top, left

    def _fit_and_select(
        self,
        pixels: NDArray[np.uint16],
        plan: Plan,
        found: Candidates,
        frame_index: NDArray[np.int64],
    ) -> Localizations:
        rows, extras = self._fit_candidates(pixels, plan, found)
        keep = np.zeros(len(rows), dtype=np.bool_)
        height, width = plan.offset_adu.shape
        excess_noise = self._calibration.excess_noise
        reach_px = self._sigma_px + (
            self._box_px if self._box_fit.is_centered else self._fit_reach_px
        )
        select_rows(rows, found.frame, height, width, self._sigma_px, excess_noise, reach_px, keep)
        more, further = self._further(extras, keep)
        frame = frame_index[found.frame[keep]]
        return table_of(rows[keep], frame, self._calibration.pixel_nm, more, further)

    def _further(
        self, found: F32 | None, keep: NDArray[np.bool_]
    ) -> tuple[dict[str, F32], dict[str, F32]]:
        """Return further columns of the table and extra ones, by name."""
        if found is None:
            return {}, {}
        kept = np.ascontiguousarray(found[keep].T)
        named = dict(zip(self._box_fit.extra_columns, kept, strict=True))
        more = {name: named.pop(name) for name in COLUMN_DTYPES if name in named}
        return more, named
