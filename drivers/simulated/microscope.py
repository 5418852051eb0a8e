"""The simulated microscope: lasers in, camera frames out, and the truth can be asked for.

One seeded object behind all simulated devices of a core. Its time is the frame counter: whatever
the pace, frame n covers n periods after the start, and the same seed with the same history of
lasers, stage and settings gives the same frames bit for bit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.drivers.simulated.optics import make_psf
from rtsmlm.drivers.simulated.sample import Sample
from rtsmlm.drivers.simulated.settings import PSF_FIELDS, SAMPLE_FIELDS, MicroscopeSettings
from rtsmlm.drivers.simulated.truth import KEEP_EMITTERS, Roi, TruthLog
from rtsmlm.drivers.simulated.views import draw_chip
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.camera import make_sensor
from rtsmlm.physics.dyes import LASERS_NM, make_dye
from rtsmlm.physics.illumination import peak_irradiance_w_cm2
from rtsmlm.physics.photophysics import Emitters
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.sampling import new_state

DEMO_POWER_MW: Mapping[int, float] = {405: 0.0014, 640: 42.0}
"""Power at the sample at which AF647 blinks at about 0.1 emitters per um² and 1100 photons in a
full frame of 10 ms."""


class SimMicroscope:
    """A sample that blinks under its lasers, seen by a noisy camera.

    Safe to use from several threads: what is set takes effect with the next frame. The sample
    fills the chip and no more, so a stage that moves far shows an empty slide.

    Parameters
    ----------
    settings
        Sample, optics and camera.
    power_mw
        Laser power at the sample by wavelength in nm; lasers that are not named are off.
    keep_frames
        How many frames the truth is kept for; None keeps all.
    """

    def __init__(
        self,
        settings: MicroscopeSettings | None = None,
        *,
        power_mw: Mapping[int, float] = DEMO_POWER_MW,
        keep_frames: int | None = 2000,
    ) -> None:
        self._lock = threading.RLock()
        self._settings = settings or MicroscopeSettings()
        self._light: dict[int, Callable[[], float]] = dict.fromkeys(LASERS_NM, float)
        self._stage_nm = np.zeros(3)
        self._roi: Roi | None = None
        self._truth = TruthLog(keep_frames, None if keep_frames is None else KEEP_EMITTERS)
        self._frame = 0
        self._sample: Sample | None = None
        self._psf: Psf | None = None
        for wavelength_nm, power in power_mw.items():
            self.set_laser(wavelength_nm, power)

    # What is set

    @property
    def settings(self) -> MicroscopeSettings:
        """What is set now."""
        return self._settings

    def configure(self, **changes: Any) -> None:
        """Change settings by name; those of the sample put a fresh one in place.

        Raises
        ------
        ConfigError
            If a value is out of its limits or a name is unknown.
        """
        with self._lock:
            try:
                settings = replace(self._settings, **changes)
            except TypeError as error:
                raise ConfigError(f"simulated microscope: {error}") from error
            old, self._settings = self._settings, settings
            changed = {name for name in changes if getattr(old, name) != getattr(settings, name)}
            if changed & SAMPLE_FIELDS:
                self._sample = None
            if changed & {"width", "height"}:
                self._roi = None
            if changed & PSF_FIELDS:
                self._psf = None
            if self._sample is not None and "beam_fwhm_um" in changed:
                self._sample.illuminate(settings, self._stage_nm)

    def set_laser(self, wavelength_nm: int, power_mw: float) -> None:
        """Set the power that reaches the sample; in force from the next frame on.

        Raises
        ------
        DeviceError
            If there is no such laser or the power is no number of 0 or more.
        """
        if wavelength_nm not in LASERS_NM:
            lasers = ", ".join(str(nm) for nm in LASERS_NM)
            raise DeviceError(f"no laser of {wavelength_nm} nm; the microscope has {lasers} nm")
        if not 0.0 <= power_mw < math.inf:
            raise DeviceError(f"{wavelength_nm} nm laser: {power_mw} mW is no power of 0 or more")
        self._light[wavelength_nm] = lambda: float(power_mw)

    def laser_mw(self, wavelength_nm: int) -> float:
        """Return the power that reaches the sample."""
        return self._light[wavelength_nm]()

    def connect_laser(self, wavelength_nm: int, light: Callable[[], float]) -> None:
        """Ask for the power that reaches the sample in mW at each exposure; see `set_laser`."""
        self.set_laser(wavelength_nm, 0.0)
        self._light[wavelength_nm] = light

    def move_stage(
        self, x_nm: float | None = None, y_nm: float | None = None, z_nm: float | None = None
    ) -> None:
        """Move the sample along x and y, and the focal plane along z; None leaves an axis."""
        with self._lock:
            for axis, value in enumerate((x_nm, y_nm, z_nm)):
                if value is not None:
                    self._stage_nm[axis] = value
            if self._sample is not None:
                self._sample.illuminate(self._settings, self._stage_nm)

    @property
    def stage_nm(self) -> tuple[float, float, float]:
        """Where the stage stands."""
        x, y, z = self._stage_nm
        return float(x), float(y), float(z)

    @property
    def roi(self) -> Roi:
        """Part of the chip that is read out: x, y, width, height."""
        return self._roi or (0, 0, self._settings.width, self._settings.height)

    def set_roi(self, roi: Roi | None) -> None:
        """Read out a part of the chip, None for all of it.

        Raises
        ------
        DeviceError
            If the region does not lie on the chip or is smaller than 4 pixels.
        """
        with self._lock:
            chip = (self._settings.width, self._settings.height)
            if roi is not None:
                x, y, width, height = roi
                inside = x + width <= chip[0] and y + height <= chip[1]
                if min(x, y) < 0 or min(width, height) < 4 or not inside:
                    raise DeviceError(
                        f"region {roi} is too small or does not lie on the chip of {chip} pixels"
                    )
            self._roi = roi

    # Frames

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames to come."""
        return self.roi[3], self.roi[2]

    @property
    def frame(self) -> int:
        """Number of the next frame."""
        return self._frame

    @property
    def emitters(self) -> Emitters:
        """The emitters of the sample, for inspection."""
        with self._lock:
            return self._ready_sample().emitters

    def restart(self) -> None:
        """Put a fresh sample in place: all that follows is as after construction."""
        with self._lock:
            self._sample = None
            self.begin_sequence()

    def begin_sequence(self) -> None:
        """Count frames from 0 again and forget the truth; the sample stays as it is."""
        with self._lock:
            self._frame = 0
            self._truth.clear()

    def prepare(self) -> None:
        """Build and compile what the first frame would have to wait for."""
        with self._lock:
            self._ready_sample()
            psf, settings = self._ready_psf(), self._settings
        # A few molecules run through the same compiled code and leave the sample untouched.
        seed = np.random.SeedSequence(0)
        image, one = np.zeros((8, 8), dtype=np.float32), np.ones(1)
        dye = make_dye(settings.dye, settings.imager_nm)
        Emitters(dye, 10, seed).advance(0.01, 0.01, np.ones(len(LASERS_NM)))
        psf.render(image, one, one, one, one)
        sensor = make_sensor(settings.sensor, (8, 8), np.random.default_rng(0))
        sensor.expose(image, np.empty((8, 8), dtype=np.uint16), new_state(seed))

    def expose(self, out: Pixels) -> int:
        """Take one frame.

        Parameters
        ----------
        out
            Written: ADU, uint16, shape `shape`.

        Returns
        -------
        :
            Number of the frame.
        """
        with self._lock:
            sample, psf, settings = self._ready_sample(), self._ready_psf(), self._settings
            fwhm_um, powers_mw = settings.beam_fwhm_um, map(self.laser_mw, LASERS_NM)
            irradiance = np.array([peak_irradiance_w_cm2(mw, fwhm_um) for mw in powers_mw])
            lit = sample.emitters.advance(
                settings.period_s, settings.exposure_ms * 1e-3, irradiance
            )
            image = sample.stray_light(settings, irradiance, lit)
            truth = sample.truth(self._frame, settings, self._stage_nm, lit, image)
            image = draw_chip(settings, psf, image, truth)
            x, y, width, height = self.roi
            part = np.ascontiguousarray(image[y : y + height, x : x + width])
            sample.sensor.expose(part, out, sample.noise, x, y)
            sample.pass_time(settings)
            self._truth.append(truth)
            self._frame += 1
            return truth.frame

    def frames(self, n: int) -> Pixels:
        """Take frames and return them, uint16, shape (n, height, width)."""
        pixels = np.empty((n, *self.shape), dtype=np.uint16)
        for i in range(n):
            self.expose(pixels[i])
        return pixels

    # The truth

    def keep_truth(self, frames: int | None) -> None:
        """Keep the truth of the last frames, this number of them, from now on; None keeps all."""
        with self._lock:
            self._truth.keep(frames)

    def emitters_in(self, frame: int, min_photons: float = 1.0) -> Localizations:
        """Return where the emitters of a frame really were.

        Photons are expected values; shot noise is the camera's. Standard deviations are NaN.

        Parameters
        ----------
        frame
            Number of the frame since the sequence began.
        min_photons
            Emitters that gave less in this frame are left out.

        Raises
        ------
        DeviceError
            If the frame was not taken or is no longer kept.
        """
        with self._lock:
            truth = self._truth.at(frame)
            return truth.localizations(self.roi, self._settings.pixel_nm, min_photons)

    def identities_in(self, frame: int, min_photons: float = 1.0) -> NDArray[np.int64]:
        """Return the numbers of the emitters, in the order of `emitters_in`."""
        with self._lock:
            truth = self._truth.at(frame)
            return truth.emitter[truth.seen(self.roi, self._settings.pixel_nm, min_photons)]

    def drift_nm(self, frame: int) -> tuple[float, float, float]:
        """Return how far the sample had drifted by a frame, along x, y and z."""
        with self._lock:
            x, y, z = self._truth.at(frame).drift_nm
        return float(x), float(y), float(z)

    def camera_maps(self) -> tuple[F32, F32, F32]:
        """Return offset in ADU, gain in ADU per electron and read variance in ADU², per pixel."""
        with self._lock:
            sensor = self._ready_sample().sensor
        x, y, width, height = self.roi
        region = np.s_[y : y + height, x : x + width]
        return (
            sensor.offset_adu[region],
            sensor.adu_per_e[region],
            sensor.read_variance_adu2[region],
        )

    def calibration(self) -> CameraCalibration:
        """Return what a perfect calibration of the camera would find, for the current region."""
        with self._lock:
            sensor = self._ready_sample().sensor
        return sensor.calibration(self._settings.pixel_nm).cropped(*self.roi)

    def _ready_sample(self) -> Sample:
        if self._sample is None:
            self._sample = Sample(self._settings)
            self._sample.illuminate(self._settings, self._stage_nm)
        return self._sample

    def _ready_psf(self) -> Psf:
        if self._psf is None:
            self._psf = make_psf(self._settings)
        return self._psf
