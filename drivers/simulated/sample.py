"""The sample under the simulated microscope: emitters, chip, stray light, drift."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.truth import FrameTruth
from rtsmlm.localizations import F32
from rtsmlm.physics.background import Background, haze_map
from rtsmlm.physics.camera import Sensor, make_sensor
from rtsmlm.physics.dyes import LASERS_NM, make_dye
from rtsmlm.physics.illumination import beam_profile
from rtsmlm.physics.photophysics import Emitters, LitEmitters
from rtsmlm.physics.sampling import State, new_state
from rtsmlm.physics.structures import place_emitters

F64 = NDArray[np.float64]

DRIFT_ANGLE = math.radians(30.0)
HAZE_BLUR_NM = 1000.0
# The background wanders within a minute: twice a second is smooth, and costs next to nothing.
REFRESH_S = 0.5


class Sample:
    """All that a change of sample or chip makes anew; every part has its own random stream."""

    def __init__(self, settings: MicroscopeSettings) -> None:
        seeds = np.random.SeedSequence(settings.seed).spawn(6)
        shape = (settings.height, settings.width)
        pixel_nm = settings.pixel_nm
        self.positions_nm, self.dye = _place(settings, np.random.default_rng(seeds[0]))
        # The structure begins at the outer edge of the first pixel, the origin at its centre.
        self.positions_nm[:, :2] -= pixel_nm / 2
        dye = make_dye(settings.dye, settings.imager_nm)
        self.emitters = Emitters(dye, len(self.positions_nm), seeds[1], all_on=settings.all_on)
        self.sensor: Sensor = make_sensor(settings.sensor, shape, np.random.default_rng(seeds[2]))
        self.noise: State = new_state(seeds[3])
        field = (settings.height, settings.field_width)
        self._background = Background(field, np.random.default_rng(seeds[4]))
        self._walk = np.random.default_rng(seeds[5])
        columns, rows = self.positions_nm[:, 0] / pixel_nm, self.positions_nm[:, 1] / pixel_nm
        self._haze = haze_map(columns, rows, field, HAZE_BLUR_NM / pixel_nm)
        self._drift_nm = np.zeros(3)
        self._t_s = 0.0
        self._light_map: F32 | None = None
        self._light_until_s = 0.0

    def illuminate(self, settings: MicroscopeSettings, stage_nm: F64) -> None:
        """Work out anew how much of the beams reaches emitters and pixels."""
        profile = beam_profile(
            self.positions_nm[:, 0] + stage_nm[0],
            self.positions_nm[:, 1] + stage_nm[1],
            _beam_center_nm(settings),
            settings.beam_fwhm_um,
        )
        self.emitters.illuminate(np.repeat(profile[:, None], len(LASERS_NM), axis=1))
        self._light_map = None

    def stray_light(
        self, settings: MicroscopeSettings, irradiance_w_cm2: F64, lit: LitEmitters
    ) -> F32:
        """Return background and haze in photons per pixel, shape (height, width)."""
        if self._light_map is None or self._t_s >= self._light_until_s:
            rows, columns = np.indices((settings.height, settings.field_width)) * settings.pixel_nm
            beam = beam_profile(columns, rows, _beam_center_nm(settings), settings.beam_fwhm_um)
            self._light_map = self._background.relative(self._t_s) * beam.astype(np.float32)
            self._light_until_s = self._t_s + REFRESH_S
        readout_kw_cm2 = float(irradiance_w_cm2[1:].sum()) * 1e-3
        level = settings.background * settings.exposure_ms * readout_kw_cm2
        image = self._light_map * np.float32(level)
        if settings.haze > 0.0:
            image += self._haze * np.float32(settings.haze * lit.photons.sum())
        return image

    def truth(
        self,
        frame: int,
        settings: MicroscopeSettings,
        stage_nm: F64,
        lit: LitEmitters,
        stray_light: F32,
    ) -> FrameTruth:
        """Return where the emitters are that shone, with drift and stage."""
        shift_nm = self._drift_nm + stage_nm * (1.0, 1.0, -1.0)
        shift_nm[2] -= settings.focus_nm
        position = self.positions_nm[lit.emitter] + shift_nm
        column = np.clip(np.rint(position[:, 0] / settings.pixel_nm), 0, settings.field_width - 1)
        row = np.clip(np.rint(position[:, 1] / settings.pixel_nm), 0, settings.height - 1)
        under = stray_light[row.astype(np.int64), column.astype(np.int64)]
        return FrameTruth(
            frame=frame,
            emitter=lit.emitter,
            x_nm=np.ascontiguousarray(position[:, 0]),
            y_nm=np.ascontiguousarray(position[:, 1]),
            z_nm=np.ascontiguousarray(position[:, 2]),
            photons=lit.photons,
            background=under.astype(np.float64),
            drift_nm=self._drift_nm.copy(),
            dye=self.dye[lit.emitter],
        )

    def pass_time(self, settings: MicroscopeSettings) -> None:
        """Advance drift and background by one frame."""
        period_s = settings.period_s
        speed_nm_per_s = (
            settings.drift_nm_per_s * math.cos(DRIFT_ANGLE),
            settings.drift_nm_per_s * math.sin(DRIFT_ANGLE),
            settings.drift_z_nm_per_s,
        )
        self._drift_nm += np.array(speed_nm_per_s) * period_s
        if settings.drift_walk_nm > 0.0:
            step_nm = settings.drift_walk_nm * math.sqrt(period_s)
            self._drift_nm += self._walk.normal(0.0, step_nm, 3)
        self._t_s += period_s


def _place(settings: MicroscopeSettings, rng: np.random.Generator) -> tuple[F64, NDArray[np.uint8]]:
    """Return where emitters are, shape (n, 3), and which dye each is, shape (n,)."""
    size_nm = (settings.field_width * settings.pixel_nm, settings.height * settings.pixel_nm)
    n_second = round(settings.second_share * settings.n_emitters) if settings.second_emission else 0
    n_first = settings.n_emitters - n_second
    places = [place_emitters(settings.structure, n_first, size_nm, settings.depth_nm, rng)]
    if n_second:
        second = settings.second_structure
        places.append(place_emitters(second, n_second, size_nm, settings.depth_nm, rng))
    dye = np.repeat(np.arange(len(places), dtype=np.uint8), [len(part) for part in places])
    return np.concatenate(places), dye


def _beam_center_nm(settings: MicroscopeSettings) -> tuple[float, float]:
    half_nm = settings.pixel_nm / 2
    return (settings.field_width - 1) * half_nm, (settings.height - 1) * half_nm
