"""Scene of a drill: a running session with light on, and everything that can be made to fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rtsmlm.errors import DeviceError
from rtsmlm.hil.faults import FaultClock, FaultyLaser, FreezableCamera, Perturbation
from rtsmlm.hil.rig import HilRig, power_now
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.session.session import Session

_LIT_S = 20.0
_POLL_S = 0.02
"""A laser on a serial line must have time to answer the guard as well."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault is injected into."""

    rig: HilRig
    session: Session
    clock: FaultClock
    camera: FreezableCamera
    lasers: Mapping[str, FaultyLaser]
    perturbation: Perturbation
    steered: str

    @property
    def laser(self) -> FaultyLaser:
        """The steered laser."""
        return self.lasers[self.steered]

    @property
    def tripped(self) -> str | None:
        """Why the steered laser is latched, None if it is not."""
        loop = self.session.status().loop
        return None if loop is None else loop.tripped


@contextmanager
def lit_scene(rig: HilRig, name: str) -> Iterator[Scene]:
    """Run a session on the rig until all its lasers are on, as the devices know it.

    Raises
    ------
    DeviceError
        If a laser does not come on.
    NotForThisRig
        If no laser is steered.
    """
    steered, clock = rig.steered, FaultClock()
    camera = FreezableCamera(rig.camera, clock)
    lasers = {key: FaultyLaser(laser, clock) for key, laser in rig.lasers.items()}
    perturbation = Perturbation(clock)
    settings = rig.drill_settings()
    with rig.run(
        name, settings, camera=camera, lasers=lasers, arm=True, perturb=perturbation
    ) as session:
        scene = Scene(rig, session, clock, camera, lasers, perturbation, steered)
        _wait_lit(scene)
        rig.pause(rig.fault_delay_s)
        yield scene


def _wait_lit(scene: Scene) -> None:
    deadline_ns = now_ns() + round(_LIT_S * 1e9)
    while dark := [name for name, laser in scene.lasers.items() if not power_now(laser.real) > 0]:
        if now_ns() > deadline_ns or scene.session.camera_ended.is_set():
            said = "; ".join(scene.session.messages()) or "no reason was given"
            raise DeviceError(
                f"{', '.join(dark)} did not come on within {_LIT_S:g} s, so that nothing can be "
                f"drilled: {said}"
            )
        scene.rig.pause(_POLL_S)


def watch_dark(
    rig: HilRig, lasers: Mapping[str, Actuator], since_ns: int, limit_s: float
) -> dict[str, float]:
    """Poll lasers until all are dark; return when each went dark, in s; inf if it did not.

    Parameters
    ----------
    rig
        Where to wait.
    lasers
        The real ones.
    since_ns
        When the fault was injected.
    limit_s
        How long to poll, from then on.
    """
    dark_s = dict.fromkeys(lasers, float("inf"))
    while (now_ns() - since_ns) / 1e9 < limit_s:
        for name, laser in lasers.items():
            is_dark = power_now(laser) == 0.0
            if not is_dark:
                dark_s[name] = float("inf")
            elif dark_s[name] == float("inf"):
                dark_s[name] = (now_ns() - since_ns) / 1e9
        if max(dark_s.values()) < float("inf"):
            return dark_s
        rig.pause(_POLL_S)
    return dark_s


def most_light(rig: HilRig, lasers: Mapping[str, Actuator], seconds: float) -> float:
    """Return the highest power that any laser shows within some time."""
    most = 0.0
    until_ns = now_ns() + round(seconds * 1e9)
    while now_ns() < until_ns:
        most = max(most, *(power_now(laser) for laser in lasers.values()))
        rig.pause(_POLL_S)
    return most
