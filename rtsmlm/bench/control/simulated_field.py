"""A field of blinking emitters under a readout laser, and a model of detection.

Time is counted in frames and runs as fast as it is computed. Kinetics are exact
(`physics.photophysics`); detection is a model: each emitter is found with a probability that falls
as exp(-density / crowding), so that the count first saturates and then falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.physics.dyes import LASERS_NM, ON, POOL, Dye, DyeName, make_dye
from rtsmlm.physics.photophysics import Emitters

_SHORT_DARK, _LONG_DARK = 2, 3
_ALARM_AT = 0.8
"""The crowding alarm comes at this part of the density at which the count is highest."""
_ALARM_NOISE = 0.1
_PIXEL_UM = 0.1
_LOCAL_OVER_MEAN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """What lies under the microscope."""

    dye: DyeName = "AF647"
    n_emitters: int = 50_000
    readout_w_cm2: float = 1000.0
    frame_s: float = 0.05
    area_um2: float = 300.0
    detection: float = 0.85
    """Probability that a lone emitter is found."""
    crowding_per_um2: float = 1.0
    """Density of emitters in a frame at which the count is highest."""

    @property
    def readout_nm(self) -> int:
        """Return the wavelength of the readout laser."""
        return 561 if self.dye == "mEos3.2" else 640

    @property
    def rates(self) -> tuple[float, float]:
        """Return k_off and k_bleach per second under the readout laser.

        k_off leads to darkness from which only light or chance brings an emitter back; the short
        dark state counts with the part of its visits that end there.
        """
        dye, light = self.make(), {self.readout_nm: self.readout_w_cm2}
        if self.dye == "DNA-PAINT":
            return dye.rate(ON, POOL, light), 0.0
        if self.dye == "mEos3.2":
            return dye.rate(ON, _LONG_DARK, light), dye.rate(ON, dye.bleached, light)
        back, lost = dye.rate(_SHORT_DARK, ON, light), dye.rate(_SHORT_DARK, POOL, light)
        gone = dye.rate(_SHORT_DARK, dye.bleached, light)
        visits = dye.rate(ON, _SHORT_DARK, light) / (back + lost + gone)
        k_off = dye.rate(ON, POOL, light) + visits * lost
        return k_off, dye.rate(ON, dye.bleached, light) + visits * gone

    def make(self) -> Dye:
        """Return the dye."""
        return make_dye(self.dye)

    @property
    def per_frame_over_on(self) -> float:
        """Return emitters that shine at some time of a frame, over those on at one instant.

        N_frame / N_on = 1 + T (k_off + k_bleach); emitters that are in the short dark state at
        that instant shine before and after it and come on top.
        """
        between = 0.0
        if self.dye == "AF647":
            dye, light = self.make(), {self.readout_nm: self.readout_w_cm2}
            ends = (ON, POOL, dye.bleached)
            leave = sum(dye.rate(_SHORT_DARK, end, light) for end in ends)
            between = dye.rate(ON, _SHORT_DARK, light) / leave
        return 1.0 + between + self.frame_s * sum(self.rates)

    def found(self, per_frame: float) -> float:
        """Return the expected count where `per_frame` emitters shine."""
        return per_frame * self.detection * math.exp(-per_frame / self._crowd)

    def true_per_frame(self, found: float) -> float:
        """Return how many emitters shine where `found` are, on the branch that rises."""
        low, high = 0.0, self._crowd
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.found(middle) < found else (low, middle)
        return low

    def needed_w_cm2(self, per_frame: float) -> float:
        """Return the irradiance at 405 nm for these emitters per frame while the pool is full.

        k_act N_dark = (k_off + k_bleach) N_on, k_act = thermal rate plus light times irradiance.
        """
        n_on = per_frame / self.per_frame_over_on
        dye = self.make()
        thermal = dye.rate(POOL, ON, {})
        per_w_cm2 = dye.rate(POOL, ON, {405: 1.0}) - thermal
        wanted = sum(self.rates) * n_on / (self.n_emitters - n_on)
        return max(wanted - thermal, 0.0) / per_w_cm2 if per_w_cm2 > 0 else math.inf

    @property
    def _crowd(self) -> float:
        return self.crowding_per_um2 * self.area_um2


@dataclass(frozen=True, slots=True)
class FieldSample:
    """Counts in the frames since the last sample."""

    true: NDArray[np.int64]
    """Emitters that shone, by frame."""
    found: NDArray[np.int64]
    """Those that were detected."""
    vanished: NDArray[np.int64]
    """Detected emitters that are gone in the frame after it, by pair of frames."""
    new: NDArray[np.int64]
    """Detected emitters that were not there in the frame before."""
    on_time_s: NDArray[np.float64]
    """Longest time that a pixel has been bright without a break; 0 where it is not followed."""


class SimulatedField:
    """The field; `sample` lets some frames pass.

    Parameters
    ----------
    spec
        What it is.
    seed
        Origin of all chance.
    follow_pixels
        Keep the on-time of every pixel, which costs as much as all the rest.
    """

    def __init__(self, spec: FieldSpec, seed: int, *, follow_pixels: bool = False) -> None:
        self.spec = spec
        kinetics, other = np.random.SeedSequence(seed).spawn(2)
        dye, half = spec.make(), spec.n_emitters // 2
        sizes = (half, spec.n_emitters - half)
        self._halves = [
            Emitters(dye, size, child) for size, child in zip(sizes, kinetics.spawn(2), strict=True)
        ]
        self._first = (0, half)
        self._rng = np.random.default_rng(other)
        self._was_on = np.zeros(spec.n_emitters, dtype=bool)
        self._before = np.empty(0, dtype=np.int64)
        self._pixels = self._place() if follow_pixels else None
        side = round(math.sqrt(spec.area_um2) / _PIXEL_UM)
        self._ages_s = np.zeros(side * side)

    def remove_half(self) -> None:
        """Take half of all emitters away at once."""
        self._halves = self._halves[:1]

    def sample(self, n_frames: int, w_cm2: float) -> FieldSample:
        """Let frames pass under an irradiance at 405 nm in W/cm²."""
        light = np.zeros(len(LASERS_NM))
        light[0] = w_cm2
        light[LASERS_NM.index(self.spec.readout_nm)] = self.spec.readout_w_cm2
        rows = np.array([self._frame(light) for _ in range(n_frames)], dtype=np.float64)
        true, vanished, new, found_p, on_time_s = rows.T
        counts = true.astype(np.int64)
        return FieldSample(
            counts,
            self._rng.binomial(counts, found_p),
            self._rng.binomial(vanished.astype(np.int64), found_p),
            self._rng.binomial(new.astype(np.int64), found_p),
            on_time_s,
        )

    def estimate(self, sample: FieldSample) -> DensityEstimate:
        """Return the estimate of a density meter for a sample."""
        spec, n = self.spec, len(sample.found)
        mean = float(sample.found.mean()) / spec.area_um2
        same = 1 + 2 / (sum(spec.rates) * spec.frame_s)
        crowd = sample.true.mean() / spec.area_um2 / spec.crowding_per_um2
        noisy = crowd * self._rng.lognormal(0.0, _ALARM_NOISE)
        return DensityEstimate(
            first_frame=0,
            last_frame=n - 1,
            n_frames=n,
            t_exposure_end_ns=0,
            mean_per_um2=mean,
            std_per_um2=math.sqrt(mean * same / (n * spec.area_um2)),
            local_per_um2=_LOCAL_OVER_MEAN * mean if mean > 0 else math.nan,
            new_per_um2=float(sample.new.mean()) / spec.area_um2,
            unexplained=1 - math.exp(-noisy),
            crowded=bool(noisy > _ALARM_AT),
            area_um2=spec.area_um2,
        )

    def _place(self) -> NDArray[np.int64]:
        """Return the nine pixels that each emitter lights, shape (n, 9)."""
        side = round(math.sqrt(self.spec.area_um2) / _PIXEL_UM)
        centre = self._rng.integers(1, side - 1, (self.spec.n_emitters, 2))
        around = np.array([side * y + x for y in (-1, 0, 1) for x in (-1, 0, 1)])
        pixels: NDArray[np.int64] = (centre[:, :1] * side + centre[:, 1:]) + around
        return pixels

    def _frame(self, light: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
        """Return emitters that shone, vanished, came, are found with p, longest on-time."""
        spec = self.spec
        lit = np.concatenate(
            [
                first + half.advance(spec.frame_s, spec.frame_s, light).emitter
                for first, half in zip(self._first, self._halves, strict=False)
            ]
        )
        stayed = int(np.count_nonzero(self._was_on[lit]))
        vanished, new = len(self._before) - stayed, len(lit) - stayed
        self._was_on[self._before] = False
        self._was_on[lit] = True
        self._before = lit
        p = spec.detection * math.exp(-len(lit) / spec.area_um2 / spec.crowding_per_um2)
        return len(lit), vanished, new, p, self._on_time_s(lit)

    def _on_time_s(self, lit: NDArray[np.int64]) -> float:
        if self._pixels is None:
            return 0.0
        bright = np.zeros(len(self._ages_s), dtype=bool)
        bright[self._pixels[lit].ravel()] = True
        self._ages_s += self.spec.frame_s
        self._ages_s *= bright
        return float(self._ages_s.max())
