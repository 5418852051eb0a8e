"""The simulated microscope: lasers in, camera frames out, and the truth can be asked for.

One seeded object behind all simulated devices of a core. Its time is the frame counter: whatever
the pace, frame n covers n periods after the start, and the same seed with the same history of
lasers, stage and settings gives the same frames bit for bit.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rtsmlm.drivers.sim_settings import PSF_FIELDS, SAMPLE_FIELDS, MicroscopeSettings

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.background import Background, haze_map
from rtsmlm.physics.camera import Sensor, make_sensor
from rtsmlm.physics.dyes import LASERS_NM, make_dye
from rtsmlm.physics.illumination import beam_profile, peak_irradiance_w_cm2
from rtsmlm.physics.photophysics import Emitters, LitEmitters
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.sampling import State, new_state
from rtsmlm.physics.structures import place_emitters

F64 = NDArray[np.float64]

DEMO_POWER_MW: Mapping[int, float] = {405: 0.0014, 640: 42.0}
"""Power at the sample at which AF647 blinks at about 0.1 emitters per um² and 1100 photons
in a full frame of 10 ms."""

BACKGROUND_REFRESH_S = 0.5


@dataclass(frozen=True, slots=True)
class _Truth:
    frame: int
    emitter: NDArray[np.int64]
    x_nm: F64
    y_nm: F64
    z_nm: F64
    photons: F64
    background: F64
    drift_nm: F64


class _Sample:
    """All that a change of sample or chip makes anew."""

    def __init__(self, settings: MicroscopeSettings) -> None:
        seeds = np.random.SeedSequence(settings.seed).spawn(6)
        shape = (settings.height, settings.width)
        pixel_nm = settings.pixel_nm
        size_nm = (settings.width * pixel_nm, settings.height * pixel_nm)
        place = np.random.default_rng(seeds[0])
        self.positions_nm = place_emitters(
            settings.structure, settings.n_emitters, size_nm, settings.depth_nm, place
        )
        # The structure fills the chip from the outer edge of its first pixel.
        self.positions_nm[:, :2] -= pixel_nm / 2
        dye = make_dye(settings.dye, settings.imager_nm)
        self.emitters = Emitters(dye, len(self.positions_nm), seeds[1], all_on=settings.all_on)
        self.sensor: Sensor = make_sensor(settings.sensor, shape, np.random.default_rng(seeds[2]))
        self.noise: State = new_state(seeds[3])
        self.background = Background(shape, np.random.default_rng(seeds[4]))
        self.walk = np.random.default_rng(seeds[5])
        self.drift_nm = np.zeros(3)
        self.t_s = 0.0
        columns, rows = self.positions_nm[:, 0] / pixel_nm, self.positions_nm[:, 1] / pixel_nm
        self.haze = haze_map(columns, rows, shape, 1000.0 / pixel_nm)


class SimMicroscope:
    """A sample that blinks under two or three lasers, seen by a noisy camera.

    Safe to use from several threads: what is set takes effect with the next frame.

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
        self._power_mw = dict.fromkeys(LASERS_NM, 0.0)
        self._stage_nm = np.zeros(3)
        self._roi: tuple[int, int, int, int] | None = None
        self._truth: deque[_Truth] = deque(maxlen=keep_frames)
        self._frame = 0
        self._sample: _Sample | None = None
        self._psf: Psf | None = None
        self._light_map: F32 | None = None
        self._light_until_s = 0.0
        for wavelength_nm, power in power_mw.items():
            self.set_laser(wavelength_nm, power)

    # Settings --------------------------------------------------------------------------------

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
                self._roi = self._roi if not changed & {"width", "height"} else None
            if changed & PSF_FIELDS:
                self._psf = None
            self._light_map = None

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
        with self._lock:
            self._power_mw[wavelength_nm] = float(power_mw)

    def laser_mw(self, wavelength_nm: int) -> float:
        """Return the power that reaches the sample."""
        return self._power_mw[wavelength_nm]

    def move_stage(
        self, x_nm: float | None = None, y_nm: float | None = None, z_nm: float | None = None
    ) -> None:
        """Move the sample along x and y, and the focal plane along z; None leaves an axis."""
        with self._lock:
            for axis, value in enumerate((x_nm, y_nm, z_nm)):
                if value is not None:
                    self._stage_nm[axis] = value
            if self._sample is not None:
                self._illuminate(self._sample)

    @property
    def stage_nm(self) -> tuple[float, float, float]:
        """Where the stage stands."""
        x, y, z = self._stage_nm
        return float(x), float(y), float(z)

    @property
    def roi(self) -> tuple[int, int, int, int]:
        """Part of the chip that is read out: x, y, width, height."""
        return self._roi or (0, 0, self._settings.width, self._settings.height)

    def set_roi(self, roi: tuple[int, int, int, int] | None) -> None:
        """Read out a part of the chip, None for all of it.

        Raises
        ------
        DeviceError
            If the region does not lie on the chip.
        """
        with self._lock:
            chip = (self._settings.width, self._settings.height)
            if roi is not None:
                x, y, width, height = roi
                inside = x + width <= chip[0] and y + height <= chip[1]
                if min(x, y) < 0 or min(width, height) < 4 or not inside:
                    raise DeviceError(f"region {roi} does not lie on the chip of {chip} pixels")
            self._roi = roi

    # Frames ----------------------------------------------------------------------------------

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
        """The emitters of the sample, to look at."""
        with self._lock:
            return self._ready_sample().emitters

    def restart(self) -> None:
        """Put a fresh sample in place: all that follows is as after construction."""
        with self._lock:
            self._sample = None
            self.begin_sequence()

    def begin_sequence(self) -> None:
        """Count frames from 0 again; the sample stays as it is."""
        with self._lock:
            self._frame = 0
            self._truth.clear()

    def keep_truth(self, frames: int | None) -> None:
        """Keep the truth of the last so many frames from now on; None keeps all."""
        with self._lock:
            self._truth = deque(self._truth, maxlen=frames)

    def prepare(self) -> None:
        """Build and compile what the first frame would have to wait for."""
        with self._lock:
            self._ready_sample()
            psf, settings = self._ready_psf(), self._settings
        # A small twin runs through the same compiled code and leaves the sample untouched.
        seed = np.random.SeedSequence(0)
        one = np.ones(1)
        image = np.zeros((8, 8), dtype=np.float32)
        dye = make_dye(settings.dye, settings.imager_nm)
        Emitters(dye, 10, seed).advance(0.01, 0.01, np.ones(len(LASERS_NM)))
        psf.render(image, one, one, one, one)
        sensor = make_sensor(settings.sensor, image.shape, np.random.default_rng(0))
        sensor.expose(image, np.empty(image.shape, dtype=np.uint16), new_state(seed))

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
            irradiance = np.array(
                [
                    peak_irradiance_w_cm2(self._power_mw[nm], settings.beam_fwhm_um)
                    for nm in LASERS_NM
                ]
            )
            lit = sample.emitters.advance(
                settings.period_s, settings.exposure_ms * 1e-3, irradiance
            )
            image = self._light(sample, irradiance, lit)
            truth = self._truth_of(sample, lit, image)
            psf.render(
                image,
                truth.x_nm / settings.pixel_nm,
                truth.y_nm / settings.pixel_nm,
                truth.z_nm,
                truth.photons,
            )
            x, y, width, height = self.roi
            part = np.ascontiguousarray(image[y : y + height, x : x + width])
            sample.sensor.expose(part, out, sample.noise, x, y)
            self._truth.append(truth)
            self._drift(sample)
            sample.t_s += settings.period_s
            self._frame += 1
            return truth.frame

    def frames(self, n: int) -> Pixels:
        """Take frames and return them, uint16, shape (n, height, width)."""
        pixels = np.empty((n, *self.shape), dtype=np.uint16)
        for i in range(n):
            self.expose(pixels[i])
        return pixels

    # Truth -----------------------------------------------------------------------------------

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
        truth = self._truth_at(frame)
        seen = np.flatnonzero(self._in_view(truth) & (truth.photons >= min_photons))
        x, y, _, _ = self.roi
        return Localizations.from_columns(
            {
                "frame": np.full(len(seen), frame, dtype=np.int64),
                "x_nm": truth.x_nm[seen] - x * self._settings.pixel_nm,
                "y_nm": truth.y_nm[seen] - y * self._settings.pixel_nm,
                "z_nm": truth.z_nm[seen],
                "photons": truth.photons[seen],
                "background": truth.background[seen],
            }
        )

    def identities_in(self, frame: int, min_photons: float = 1.0) -> NDArray[np.int64]:
        """Return the numbers of the emitters, in the order of `emitters_in`."""
        truth = self._truth_at(frame)
        return truth.emitter[self._in_view(truth) & (truth.photons >= min_photons)]

    def drift_nm(self, frame: int) -> tuple[float, float, float]:
        """Return how far the sample had drifted by a frame, along x, y and z."""
        x, y, z = self._truth_at(frame).drift_nm
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

    # Parts -----------------------------------------------------------------------------------

    def _ready_sample(self) -> _Sample:
        if self._sample is None:
            self._sample = _Sample(self._settings)
            self._light_map = None
            self._illuminate(self._sample)
        return self._sample

    def _ready_psf(self) -> Psf:
        if self._psf is None:
            self._psf = make_psf(self._settings)
        return self._psf

    def _beam_center_nm(self) -> tuple[float, float]:
        settings = self._settings
        half = settings.pixel_nm / 2
        return (settings.width - 1) * half, (settings.height - 1) * half

    def _illuminate(self, sample: _Sample) -> None:
        x_nm = sample.positions_nm[:, 0] + self._stage_nm[0]
        y_nm = sample.positions_nm[:, 1] + self._stage_nm[1]
        profile = beam_profile(x_nm, y_nm, self._beam_center_nm(), self._settings.beam_fwhm_um)
        sample.emitters.illuminate(np.repeat(profile[:, None], len(LASERS_NM), axis=1))

    def _light(self, sample: _Sample, irradiance: F64, lit: LitEmitters) -> F32:
        """Return background and haze in photons per pixel."""
        settings = self._settings
        if self._light_map is None or sample.t_s >= self._light_until_s:
            rows, columns = np.indices((settings.height, settings.width)) * settings.pixel_nm
            beam = beam_profile(columns, rows, self._beam_center_nm(), settings.beam_fwhm_um)
            self._light_map = sample.background.relative(sample.t_s) * beam.astype(np.float32)
            self._light_until_s = sample.t_s + BACKGROUND_REFRESH_S
        readout_kw_cm2 = float(irradiance[1:].sum()) * 1e-3
        level = settings.background * settings.exposure_ms * readout_kw_cm2
        image = self._light_map * np.float32(level)
        if settings.haze > 0.0:
            image += sample.haze * np.float32(settings.haze * lit.photons.sum())
        return image

    def _truth_of(self, sample: _Sample, lit: LitEmitters, image: F32) -> _Truth:
        shift = sample.drift_nm + self._stage_nm * (1.0, 1.0, -1.0)
        position = sample.positions_nm[lit.emitter] + shift
        settings = self._settings
        column = np.clip(np.rint(position[:, 0] / settings.pixel_nm), 0, settings.width - 1)
        row = np.clip(np.rint(position[:, 1] / settings.pixel_nm), 0, settings.height - 1)
        return _Truth(
            frame=self._frame,
            emitter=lit.emitter,
            x_nm=np.ascontiguousarray(position[:, 0]),
            y_nm=np.ascontiguousarray(position[:, 1]),
            z_nm=np.ascontiguousarray(position[:, 2]),
            photons=lit.photons,
            background=image[row.astype(np.int64), column.astype(np.int64)].astype(np.float64),
            drift_nm=sample.drift_nm.copy(),
        )

    def _drift(self, sample: _Sample) -> None:
        settings = self._settings
        lateral = settings.drift_nm_per_s
        speed = (
            lateral * math.cos(math.radians(30.0)),
            lateral * math.sin(math.radians(30.0)),
            settings.drift_z_nm_per_s,
        )
        sample.drift_nm += np.array(speed) * settings.period_s
        if settings.drift_walk_nm > 0.0:
            step_nm = settings.drift_walk_nm * math.sqrt(settings.period_s)
            sample.drift_nm += sample.walk.normal(0.0, step_nm, 3)

    def _truth_at(self, frame: int) -> _Truth:
        with self._lock:
            first = self._truth[0].frame if self._truth else 0
            if not first <= frame < first + len(self._truth):
                raise DeviceError(
                    f"no truth for frame {frame}; frames {first} to "
                    f"{first + len(self._truth) - 1} are kept (keep_frames)"
                )
            return self._truth[frame - first]

    def _in_view(self, truth: _Truth) -> NDArray[np.bool_]:
        x, y, width, height = self.roi
        column, row = truth.x_nm / self._settings.pixel_nm, truth.y_nm / self._settings.pixel_nm
        inside_x = (column >= x - 0.5) & (column < x + width - 0.5)
        return np.asarray(inside_x & (row >= y - 0.5) & (row < y + height - 0.5))


def make_psf(settings: MicroscopeSettings) -> Psf:
    """Return the PSF that the settings ask for."""
    if settings.psf == "gaussian":
        return GaussianPsf(settings.psf_sigma_nm / settings.pixel_nm)
    if settings.psf == "astigmatic":
        return AstigmaticPsf(pixel_nm=settings.pixel_nm, sigma0_nm=settings.psf_sigma_nm)
    optics = Optics(zernike_nm={(2, 2): settings.astigmatism_nm})
    return pupil_psf(optics, pixel_nm=settings.pixel_nm, vectorial=settings.psf == "vectorial")
