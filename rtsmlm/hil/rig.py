"""HilRig: one open microscope on which all drills run, and the settings that they run with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from rtsmlm.drivers.simulated.hub import microscope_of_core
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.engines.runtimes import AUTO
from rtsmlm.errors import ConfigError, DeviceError, RtsmlmError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.fitting.psf_meter import ASSUMED_SIGMA_PX
from rtsmlm.hil.result import NotForThisRig
from rtsmlm.hil.simulated_heads import with_light_files
from rtsmlm.hil.traits import LaserTraits, gating_of_rig, traits_of
from rtsmlm.protocols import Actuator, Camera
from rtsmlm.safety.rehearsal import Rehearsal
from rtsmlm.session.devices import close_actuators, open_actuators, open_camera
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

TICK_S = 0.5
HEARTBEAT_S = 4.0
_NO_TARGET_PER_UM2 = 50.0
"""So high that the law wants all the light that a drill allows, whatever it sees."""
_NO_LOCAL_LIMIT_PER_UM2 = 1e6
_OF_CAP = 1e-3
_IMAGE_PIXEL_NM = 100.0


class HilRig:
    """A rig: camera and lasers, opened once and used by one run after the other.

    Parameters
    ----------
    settings
        Those of the rig.
    folder
        Where the runs of the drills are written.
    arm
        Let light through; `feedback.arm` must be set as well.
    stop
        Breaks off whatever is waited for.
    """

    def __init__(
        self, settings: RunSettings, folder: Path, *, arm: bool, stop: Event | None = None
    ) -> None:
        if arm and not settings.feedback.arm:
            raise ConfigError(
                "--arm alone lets no light through: set feedback.arm = true in the configuration "
                "as well, or leave --arm out"
            )
        self.folder = folder
        self.arm = arm
        self.settings = with_light_files(settings, folder / "light")
        self.limits = settings.hil
        self._stop = stop or Event()
        self._camera: Camera | None = None
        self._lasers: dict[str, Actuator] = {}
        self._stages: dict[str, Actuator] = {}
        self._traits: dict[str, LaserTraits] = {}
        self._laser_limits: dict[str, tuple[float, float]] = {}
        self.gating = ""
        """Whether its lasers follow the exposure signal, in a sentence; empty until it is open."""
        self._rehearsal: Rehearsal | None = None
        self.fault_delay_s = 0.0
        """How long the light is on before a fault."""
        self.sentinel_pid: int | None = None
        """Number of the process that watches over the lasers of the last run."""
        self.last_run: RunFolder | None = None
        self.kept: dict[str, Any] = {}
        """What one drill has found and another one shows as well, by a name of its own."""

    # -- devices -----------------------------------------------------------------------------

    @property
    def camera(self) -> Camera:
        """The camera, opened on first use."""
        if self._camera is None:
            self._rehearse()
            self._camera = open_camera(self.settings)
            self._lasers, self._stages = open_actuators(self.settings, self._camera)
            core = self._camera.core
            self._traits = {k: traits_of(laser, core) for k, laser in self._lasers.items()}
            self.gating = self.gating or gating_of_rig(core, self.settings.lasers)
        return self._camera

    @property
    def lasers(self) -> Mapping[str, Actuator]:
        """The lasers by their names in the settings."""
        return self._lasers if self.camera else {}

    @property
    def microscope(self) -> SimMicroscope:
        """The simulated microscope behind the devices.

        Raises
        ------
        DeviceError
            If the rig is a real one.
        """
        return microscope_of_core(self.camera.core)

    @property
    def core(self) -> object | None:
        """The Micro-Manager core of camera and lasers, None where there is none."""
        return self.camera.core

    def traits_of(self, laser: str) -> LaserTraits:
        """Return what a laser states of itself for drills."""
        return self.known_traits(laser) if self.camera else LaserTraits()

    def known_traits(self, laser: str) -> LaserTraits:
        """Return the same without opening the rig, while another process has it."""
        return self._traits.get(laser, LaserTraits())

    def _rehearse(self) -> None:
        """Let a sentinel reach the lasers before this program opens them."""
        if self.arm and self.settings.lasers:
            self._rehearsal = Rehearsal(self.settings, end_program=True)
            self._rehearsal.run()
            self._rehearsal.close()

    def close(self) -> None:
        """Turn dark what may be lit, and release camera and lasers; Safe to call more than once."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        if self.arm:
            for laser in self._lasers.values():
                laser.make_safe()
        close_actuators([*self._lasers.values(), *self._stages.values()])
        self._lasers, self._stages = {}, {}
        camera.close()

    # -- settings of drills -------------------------------------------------------------------

    @property
    def steered(self) -> str:
        """Name of the laser that the loop steers.

        Raises
        ------
        NotForThisRig
            If there is none.
        """
        name = self.settings.feedback.laser
        if name is None:
            raise NotForThisRig("no laser is steered (feedback.laser)")
        return name

    def drill_power(self, name: str) -> float:
        """Return the power of a laser in drills: little, and never above its cap.

        Raises
        ------
        ConfigError
            If it has no cap, or `hil.drill_power` lies below what the laser can do.
        """
        laser = self.settings.lasers[name]
        low, high = self._limits_of(name)
        if laser.max_power is None:
            raise ConfigError(
                f"{name} has no cap and is not armed; set lasers.{name}.max_power, at most {high:g}"
            )
        cap = min(laser.max_power, high)
        least = max(low, _OF_CAP * cap if laser.min_power is None else laser.min_power)
        wanted = self.limits.drill_power if name == self.settings.feedback.laser else None
        power = min(2 * least if wanted is None else wanted, cap)
        if power <= least:
            raise ConfigError(
                f"the drills would run {name} at {power:g} {self.lasers[name].unit}, but it gives "
                f"{least:g} at least; raise hil.drill_power, or its cap"
            )
        return power

    def _limits_of(self, name: str) -> tuple[float, float]:
        """Return the limits of a laser; asked for once, as it may be in use by another process."""
        if name not in self._laser_limits:
            self._laser_limits[name] = self.lasers[name].limits()
        return self._laser_limits[name]

    def run_settings(self, **sections: Mapping[str, Any]) -> RunSettings:
        """Return the settings of the rig without an end of its own, and with some changes.

        Parameters
        ----------
        sections
            Keys to change, by section.
        """
        settings = self.settings
        shape_nm = settings.camera.pixel_nm or self.camera.stated.pixel_nm or 100.0
        changes: dict[str, dict[str, Any]] = {
            "acquisition": {"frames": None, "seconds": None},
            "stream": {"address": "tcp://127.0.0.1:*"},
            "results": {"export": (), "image_pixel_nm": _IMAGE_PIXEL_NM},
        }
        if settings.localizer.name == AUTO:
            changes["localizer"] = {"name": "gaussian-mle"}
        changes["psf"] = {"refine": False}
        if settings.psf.known_sigma_nm is None:
            changes["psf"]["sigma_nm"] = ASSUMED_SIGMA_PX * shape_nm
        for section, keys in sections.items():
            changes.setdefault(section, {}).update(keys)
        return settings.model_copy(
            update={
                section: getattr(settings, section).model_copy(update=keys)
                for section, keys in changes.items()
            }
        )

    def drill_settings(self) -> RunSettings:
        """Return the settings of a dark-on-fault drill: little light, steady, and quick ticks."""
        stop = self.settings.feedback.stop.model_copy(
            update={
                "localizations": None,
                "exhausted_s": None,
                "resolution_nm": None,
                "resolution_change": None,
                "seconds": None,
                "dose": None,
            }
        )
        settings = self.run_settings(
            pipeline={"heartbeat_timeout_s": HEARTBEAT_S, "process": True},
            feedback={
                "tick_s": TICK_S,
                "feed_forward": False,
                "tune": "none",
                "target_per_um2": _NO_TARGET_PER_UM2,
                "max_local_per_um2": _NO_LOCAL_LIMIT_PER_UM2,
                "stop": stop,
            },
        )
        lasers = {}
        for name, laser in self.settings.lasers.items():
            power = self.drill_power(name)
            light = {"max_power": power, "start_power": power, "schedule": ()}
            lasers[name] = laser.model_copy(update=light)
        return settings.model_copy(update={"lasers": lasers})

    # -- runs ---------------------------------------------------------------------------------

    @contextmanager
    def run(
        self,
        name: str,
        settings: RunSettings,
        *,
        camera: Camera | None = None,
        lasers: Mapping[str, Actuator] | None = None,
        arm: bool = False,
        perturb: Callable[[DensityEstimate], DensityEstimate] | None = None,
    ) -> Iterator[Session]:
        """Run a session; it is closed at the end of the block, whatever happens there.

        Parameters
        ----------
        name
            Name of its folder.
        settings
            Of the run.
        camera, lasers
            In place of those of the rig.
        arm, perturb
            As for `Session`.
        """
        folder = RunFolder.create_free(self.folder / "runs", name)
        rehearsal = None if self._rehearsal is None else self._rehearsal.again(settings)
        session = Session(
            camera or self.camera,
            settings,
            folder=folder,
            lasers=self.lasers if lasers is None else lasers,
            arm=arm,
            perturb=perturb,
            rehearsal=rehearsal,
        )
        self.last_run = folder
        session.start(self._stop)
        self.sentinel_pid = None if rehearsal is None else rehearsal.sentinel_pid
        try:
            yield session
        finally:
            session.stop()
            session.close()

    def pause(self, seconds: float) -> None:
        """Wait, unless a stop was requested.

        Raises
        ------
        KeyboardInterrupt
            If it was; the runs that are open are closed in order on the way.
        """
        if self._stop.wait(seconds):
            raise KeyboardInterrupt


def power_now(laser: Actuator) -> float:
    """Return the power of a laser as the device knows it; NaN where it does not answer."""
    try:
        return laser.setpoint()
    except RtsmlmError:
        return math.nan


def check_dark(lasers: Mapping[str, Actuator]) -> None:
    """Raise `DeviceError` if a laser is not dark, as the device knows it."""
    for name, laser in lasers.items():
        power = power_now(laser)
        if power != 0.0:
            raise DeviceError(f"{name} is at {power:g} {laser.unit} where it should be dark")
