"""Loop: the laser side of a session; does nothing where there is no laser and no criterion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rtsmlm.config import RunSettings
from rtsmlm.feedback.records import DensityEstimate, LoopStatus
from rtsmlm.files.run_folder import RunFolder
from rtsmlm.prepare import with_local_limit
from rtsmlm.protocols import Actuator
from rtsmlm.resolution_watch import ResolutionWatch
from rtsmlm.steering import Steering


class Loop:
    """Steering, and what it asks for the resolution, where a run needs them.

    Parameters
    ----------
    steering
        Steers lasers and ends the acquisition; None where there is nothing to do.
    resolution
        Measures the resolution for its stop criterion; None where there is none.
    """

    def __init__(
        self, steering: Steering | None = None, resolution: ResolutionWatch | None = None
    ) -> None:
        self._steering = steering
        self._resolution = resolution

    @classmethod
    def make(
        cls,
        settings: RunSettings,
        lasers: Mapping[str, Actuator],
        stages: Mapping[str, Actuator],
        *,
        folder: RunFolder,
        shape: tuple[int, int],
        pixel_nm: float,
        armed: bool,
        warn: Callable[[str], None],
        finish: Callable[[str], None],
        spoil: Callable[[DensityEstimate], DensityEstimate] | None,
    ) -> Loop:
        """Return the loop that a run needs.

        Parameters
        ----------
        shape
            Height and width of a frame in camera pixels.
        pixel_nm
            Camera pixel in the sample plane.
        settings, lasers, stages, folder, armed, warn, finish, spoil
            As for `Steering`.
        """
        stop = settings.feedback.stop
        if not (lasers or stages or stop.ends_by_itself):
            return cls()
        resolution = None
        if stop.needs_resolution:
            resolution = ResolutionWatch(folder.localizations, shape, pixel_nm)
        steering = Steering(
            with_local_limit(settings),
            lasers,
            stages,
            folder=folder,
            armed=armed,
            warn=warn,
            finish=finish,
            resolution=tuple if resolution is None else lambda: resolution.history,
            spoil=spoil,
        )
        return cls(steering, resolution)

    @property
    def exists(self) -> bool:
        """True if there is anything to steer or to end."""
        return self._steering is not None

    def start(self) -> None:
        """Arm, if that is wanted, and begin.

        Raises
        ------
        RtsmlmError
            If a laser cannot be armed; all are dark then.
        """
        if self._resolution is not None:
            self._resolution.start()
        if self._steering is not None:
            self._steering.start()

    # -- what the analysis says ------------------------------------------------------------

    def hear(self, estimate: DensityEstimate, localizations: int) -> None:
        """Take an estimate and the number of rows so far."""
        if self._steering is not None:
            self._steering.hear(estimate, localizations)

    def lost(self, reason: str) -> None:
        """Nobody sees any more what the steered laser does: it goes dark."""
        if self._steering is not None:
            self._steering.lost(reason)

    # -- what a person says ----------------------------------------------------------------

    def trip(self, reason: str) -> None:
        """Turn all lasers dark and latch them."""
        if self._steering is not None:
            self._steering.trip(reason)

    def reset(self, reason: str) -> None:
        """Lift the latches after a trip; the lasers stay dark.

        Raises
        ------
        RtsmlmError
            If what made a guard trip is still there.
        """
        if self._steering is not None:
            self._steering.reset(reason)

    def set_gain(self, gain: float) -> None:
        """Correct another part of the logarithmic error per tick from now on."""
        if self._steering is not None:
            self._steering.set_gain(gain)

    def aim(self, per_um2: float) -> None:
        """Hold another density from now on."""
        if self._steering is not None:
            self._steering.aim(per_um2)

    # -- what there is to know -------------------------------------------------------------

    @property
    def tripped(self) -> bool:
        """True if a guard is latched."""
        return self._steering is not None and self._steering.tripped

    def status(self) -> LoopStatus | None:
        """Return the state of the loop; None where no laser is steered."""
        return None if self._steering is None else self._steering.status()

    def power(self) -> float:
        """Return the power of the steered laser that is in force now, or NaN."""
        return math.nan if self._steering is None else self._steering.power()

    def latency_ms(self) -> dict[str, Any]:
        """Return percentiles from the end of the exposure to the command; empty if none was."""
        found = {} if self._steering is None else self._steering.latency_ms()
        return found if found.get("count") else {}

    # -- leaving ---------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Turn everything dark: the first step of leaving, whatever the reason."""
        if self._steering is not None:
            self._steering.leave(reason)

    def close(self) -> None:
        """Dark, and end the threads and the sentinel.

        Raises
        ------
        WorkerError
            If a thread hangs.
        """
        try:
            if self._steering is not None:
                self._steering.close()
        finally:
            if self._resolution is not None:
                self._resolution.close()
