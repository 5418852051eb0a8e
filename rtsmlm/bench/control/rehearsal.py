"""A law on a simulated field, tick by tick, faster than time passes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.control.peer_laws import AlicaLaw, AutoLaseLaw, HtSmlmLaw
from rtsmlm.bench.control.simulated_field import FieldSample, FieldSpec, SimulatedField
from rtsmlm.feedback.law.law import DensityLaw
from rtsmlm.feedback.records import Decision
from rtsmlm.settings.feedback import FeedbackSettings

CAP_W_CM2 = 1.0
"""Highest irradiance at 405 nm in all rehearsals; the least is a thousandth of it."""


class Steering(Protocol):
    """A law, with the signal that it gets."""

    n_frames: int
    """Frames from one decision to the next."""
    follows_pixels: bool

    @property
    def stopped(self) -> bool:
        """Whether the law has called the acquisition done."""
        ...

    def decide(self, field: SimulatedField, sample: FieldSample | None, t_s: float) -> float:
        """Return the irradiance in W/cm² until the next sample; None is a lost camera."""
        ...

    def set_target(self, found_per_frame: float) -> None:
        """Change the target, in detected emitters per frame."""
        ...


class OurSteering:
    """`law.DensityLaw`.

    Parameters
    ----------
    spec
        The field.
    found_per_frame
        Target, in detected emitters per frame.
    start_w_cm2
        Irradiance at the start.
    settings
        All other settings.
    """

    follows_pixels = False

    def __init__(
        self,
        spec: FieldSpec,
        found_per_frame: float,
        start_w_cm2: float,
        settings: FeedbackSettings | None = None,
    ) -> None:
        settings = settings or FeedbackSettings()
        self.n_frames = max(round(settings.tick_s / spec.frame_s), 1)
        self._area_um2 = spec.area_um2
        self.law = DensityLaw(settings, (CAP_W_CM2 / 1000, CAP_W_CM2), start_w_cm2)
        self.set_target(found_per_frame)
        self.decisions: list[Decision] = []

    @property
    def stopped(self) -> bool:
        """Whether the law has called the acquisition done."""
        return bool(self.decisions) and self.decisions[-1].stop

    @property
    def events(self) -> list[str]:
        """Events in their order."""
        return [d.event for d in self.decisions if d.event is not None]

    def decide(self, field: SimulatedField, sample: FieldSample | None, t_s: float) -> float:
        estimate = None if sample is None else field.estimate(sample)
        self.decisions.append(self.law.decide(estimate, t_s))
        return self.decisions[-1].power

    def set_target(self, found_per_frame: float) -> None:
        self.law.set_target(found_per_frame / self._area_um2)


class _PeerSteering:
    """What the peers have in common: they never end an acquisition by a lack of emitters."""

    follows_pixels = False

    def __init__(self, spec: FieldSpec) -> None:
        self._spec = spec
        self.n_frames = max(round(1.0 / spec.frame_s), 1)

    @property
    def stopped(self) -> bool:
        """Whether the law has called the acquisition done: never."""
        return False


class HtSmlmSteering(_PeerSteering):
    """`HtSmlmLaw`: emitters that vanish, counted in one pair of frames, every 100 ms."""

    def __init__(self, spec: FieldSpec, found_per_frame: float, start_w_cm2: float) -> None:
        super().__init__(spec)
        self.n_frames = max(round(0.1 / spec.frame_s), 2)
        self._law = HtSmlmLaw(self._vanished(found_per_frame), start_w_cm2)

    def decide(self, field: SimulatedField, sample: FieldSample | None, t_s: float) -> float:
        del field, t_s
        return self._law.decide(math.nan if sample is None else float(sample.vanished[-1]))

    def set_target(self, found_per_frame: float) -> None:
        self._law.target = self._vanished(found_per_frame)

    def _vanished(self, found_per_frame: float) -> float:
        """Return how many vanish per frame, the set point of this law at that density."""
        gone = sum(self._spec.rates) * self._spec.frame_s
        return found_per_frame * gone / self._spec.per_frame_over_on


class AutoLaseSteering(_PeerSteering):
    """`AutoLaseLaw`: the longest on-time of any pixel, mean of a second, every second.

    Parameters
    ----------
    spec, found_per_frame, start_w_cm2
        As for `OurSteering`.
    band
        Returns the on-times in s to stay between, from a field and a target.
    """

    follows_pixels = True

    def __init__(
        self,
        spec: FieldSpec,
        found_per_frame: float,
        start_w_cm2: float,
        band: Callable[[FieldSpec, float], tuple[float, float]],
    ) -> None:
        super().__init__(spec)
        self._band = band
        self._law = AutoLaseLaw(*band(spec, found_per_frame), start_w_cm2)
        self._recent: deque[float] = deque(maxlen=self.n_frames)

    def decide(self, field: SimulatedField, sample: FieldSample | None, t_s: float) -> float:
        del field, t_s
        # Without new images the original continues with its last density.
        self._recent.extend([] if sample is None else sample.on_time_s.tolist())
        return self._law.decide(float(np.mean(self._recent)))

    def set_target(self, found_per_frame: float) -> None:
        self._law.low_s, self._law.high_s = self._band(self._spec, found_per_frame)


class AlicaSteering(_PeerSteering):
    """`AlicaLaw`: spots per 100 um², mean of a second, every second; it starts by its tuning."""

    def __init__(self, spec: FieldSpec, found_per_frame: float, start_w_cm2: float) -> None:
        del start_w_cm2
        super().__init__(spec)
        self._law = AlicaLaw(self._spots(found_per_frame), highest_w_cm2=CAP_W_CM2)

    def decide(self, field: SimulatedField, sample: FieldSample | None, t_s: float) -> float:
        del field, t_s
        return self._law.decide(math.nan if sample is None else self._spots(sample.found.mean()))

    def set_target(self, found_per_frame: float) -> None:
        self._law.target = self._spots(found_per_frame)

    def _spots(self, per_frame: float) -> float:
        return float(per_frame) * 100 / self._spec.area_um2


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened, frame by frame."""

    frame_s: float
    true: NDArray[np.int64]
    """Emitters that shone."""
    w_cm2: NDArray[np.float64]
    """Irradiance at 405 nm."""

    @property
    def duration_s(self) -> float:
        return len(self.true) * self.frame_s

    def mean(self, values: NDArray[np.generic], seconds: float) -> NDArray[np.float64]:
        """Return the running mean over the frames of some seconds, full windows only."""
        n = max(round(seconds / self.frame_s), 1)
        total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        means: NDArray[np.float64] = (total[n:] - total[:-n]) / n
        return means

    def part(self, from_s: float, to_s: float) -> Trace:
        """Return a stretch of it."""
        frames = slice(round(from_s / self.frame_s), round(to_s / self.frame_s))
        return Trace(self.frame_s, self.true[frames], self.w_cm2[frames])


def rehearse(
    steering: Steering,
    field: SimulatedField,
    start_w_cm2: float,
    duration_s: float,
    *,
    at_s: float = math.inf,
    disturb: Callable[[], None] | None = None,
    blind_from_s: float = math.inf,
) -> Trace:
    """Run a law on a field.

    Parameters
    ----------
    steering, field
        The two.
    start_w_cm2
        Irradiance before the first decision.
    duration_s
        In simulated seconds; it ends earlier where the law calls an end.
    at_s, disturb
        When something happens, and what.
    blind_from_s
        From when on there are no frames.
    """
    frame_s, w_cm2, t_s = field.spec.frame_s, start_w_cm2, 0.0
    true: list[NDArray[np.int64]] = []
    light: list[float] = []
    while t_s < duration_s and not steering.stopped:
        if disturb is not None and t_s >= at_s:
            disturb()
            disturb = None
        sample = field.sample(steering.n_frames, w_cm2)
        true.append(sample.true)
        light += [w_cm2] * steering.n_frames
        t_s += steering.n_frames * frame_s
        w_cm2 = steering.decide(field, None if t_s > blind_from_s else sample, t_s)
    return Trace(frame_s, np.concatenate(true), np.array(light))
