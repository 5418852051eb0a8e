"""What a network of classes is given of each row: its box, or the spectrum beside it."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration, Map
from rtsmlm.channels.first_view import crop
from rtsmlm.fitting.boxes import F64, cut_boxes
from rtsmlm.fitting.spectrum_boxes import cut_spectra
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.spectra import Dispersion
from rtsmlm.physics.views import Views

Inside: TypeAlias = NDArray[np.bool_]


class Cutter(Protocol):
    """Cuts what belongs to rows out of the frames that they were found in."""

    def field_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of what is localized of frames of a shape.

        Raises
        ------
        CalibrationError
            If it does not lie on such frames.
        """
        ...

    def field(self, batch: FrameBatch) -> FrameBatch:
        """Return the part of frames that is localized."""
        ...

    def __call__(self, locs: Localizations, batch: FrameBatch) -> tuple[F32, Inside]:
        """Return what is cut for each row, (n, height, width), and whether all of it is there."""
        ...


class BoxCutter:
    """Boxes around rows, in photons.

    Parameters
    ----------
    calibration
        Camera calibration.
    box_px
        Side of the boxes, odd.
    """

    def __init__(self, calibration: CameraCalibration, box_px: int) -> None:
        self._calibration, self._box_px = calibration, box_px
        self._maps = _Maps(calibration)

    def field_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of the frames."""
        return shape

    def field(self, batch: FrameBatch) -> FrameBatch:
        """Return the frames."""
        return batch

    def __call__(self, locs: Localizations, batch: FrameBatch) -> tuple[F32, Inside]:
        """Return the boxes; those that reach beyond the frame repeat its last pixels."""
        n, box = len(locs), self._box_px
        x, y = (c.astype(np.float64) / self._calibration.pixel_nm for c in (locs.x_nm, locs.y_nm))
        left, top = (np.rint(place).astype(np.int32) - box // 2 for place in (x, y))
        photons, variance = (np.empty((n, box, box), dtype=np.float32) for _ in range(2))
        offset, gain, read = self._maps(batch.shape)
        none = np.zeros(n, dtype=np.float32)
        frame = _frames_of(locs, batch)
        cut_boxes(_read_only(batch), offset, gain, read, none, frame, top, left, photons, variance)
        # A box of which a quarter lies outside shows no shape.
        height, width = batch.shape
        spare = box // 4
        inside = (left >= -spare) & (left + box <= width + spare)
        inside &= (top >= -spare) & (top + box <= height + spare)
        return photons, np.asarray(inside, dtype=np.bool_)


class SpectrumCutter:
    """Spectra beside rows: the second view shows the first order of a grating, or a prism's light.

    Parameters
    ----------
    calibration
        Camera calibration.
    views
        The first is that of the undispersed spots, which are localized. In the second the transform
        leads from where the light of the reference wavelength falls to the place of the spot.
    dispersion
        Where the other wavelengths fall, along the rows.
    wavelengths_nm
        Of the samples.
    rows
        Height of a spectrum in pixels.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        views: Views,
        dispersion: Dispersion,
        wavelengths_nm: F64,
        rows: int,
    ) -> None:
        self._pixel_nm, self._views = calibration.pixel_nm, views
        self._maps = _Maps(calibration.cropped(*views[1].region))
        self._displacement_px = dispersion.displacement_px(wavelengths_nm)
        self._rows = rows

    def field_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of the first view."""
        self._views.check_frame_shape(shape)
        return self._views.first.shape

    def field(self, batch: FrameBatch) -> FrameBatch:
        """Return the first view."""
        self._views.check_frame_shape(batch.shape)
        return crop(batch, self._views.first.region)

    def __call__(self, locs: Localizations, batch: FrameBatch) -> tuple[F32, Inside]:
        """Return the spectra."""
        places = np.stack([locs.x_nm, locs.y_nm], axis=1).astype(np.float64)
        second = self._views[1]
        reference = second.from_first(places / self._pixel_nm)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(reference).all(axis=1))
        reference = np.where(known[:, None], reference, -1e6)
        shape = (len(locs), self._rows, len(self._displacement_px))
        spectra, inside = np.empty(shape, dtype=np.float32), np.empty(len(locs), dtype=np.bool_)
        part = crop(batch, second.region)
        offset, gain, _ = self._maps(part.shape)
        x, y = (np.ascontiguousarray(column) for column in reference.T)
        frame = _frames_of(locs, batch)
        cut_spectra(
            _read_only(part), offset, gain, frame, x, y, self._displacement_px, spectra, inside
        )
        return spectra, inside & known


class _Maps:
    """Offset, photons per ADU and read variance for frames of the last shape that was asked for."""

    def __init__(self, calibration: CameraCalibration) -> None:
        self._calibration = calibration
        self._held: tuple[tuple[int, int], tuple[F32, F32, F32]] | None = None

    def __call__(self, shape: tuple[int, int]) -> tuple[F32, F32, F32]:
        held = self._held
        if held is None or held[0] != shape:
            calibration = self._calibration
            calibration.check_frame_shape(shape)
            gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain

            def as_map(value: Map) -> F32:
                return np.array(np.broadcast_to(value, shape), dtype=np.float32, order="C")

            maps = (
                as_map(calibration.offset_adu),
                as_map(np.asarray(gain)),
                as_map(calibration.pixel_variance()),
            )
            # One assignment: threads that share it see either the old maps or the new.
            self._held = held = (shape, maps)
        return held[1]


def _frames_of(locs: Localizations, batch: FrameBatch) -> NDArray[np.int32]:
    """Return in which frame of a batch each row is."""
    return np.searchsorted(batch.index, locs.frame).astype(np.int32)


def _read_only(batch: FrameBatch) -> Pixels:
    # Compiled code tells read-only arrays from others: frames are always made so.
    pixels = np.ascontiguousarray(batch.pixels).view()
    pixels.flags.writeable = False
    return pixels
