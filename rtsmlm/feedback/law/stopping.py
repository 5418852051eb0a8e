"""When an acquisition is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rtsmlm.errors import number_text
from rtsmlm.settings.feedback import StopSettings

_LAST_PART = 0.1
"""Part of the frames over which the resolution must have stood still."""


@dataclass(slots=True)
class Exhaustion:
    """How long the power has been at its cap with less than half of the target.

    Parameters
    ----------
    after_s
        So long, in seconds, and the pool counts as used up; None never.
    """

    after_s: float | None
    _since_s: float | None = None

    def update(self, t_s: float, *, spent: bool) -> bool:
        """Note a tick at cap with too little; return whether that has lasted long enough."""
        if not spent:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = t_s
        return self.after_s is not None and t_s - self._since_s >= self.after_s


class StopCriteria:
    """Whatever ends an acquisition, or one position of it, but exhaustion.

    Parameters
    ----------
    settings
        What the user asked for.
    """

    def __init__(self, settings: StopSettings) -> None:
        self._settings = settings

    def check(
        self,
        *,
        n_localizations: int = 0,
        resolution: Sequence[tuple[int, float]] = (),
        elapsed_s: float = 0.0,
        dose: float = 0.0,
    ) -> str | None:
        """Return why the acquisition is done, one clause, or None.

        Parameters
        ----------
        n_localizations
            Localizations so far.
        resolution
            Frame and resolution (FRC) in nm, in the order of frames.
        elapsed_s
            Time since the start, or since the stage reached this position, in s.
        dose
            Power times seconds of the steered laser, in its own unit.
        """
        s = self._settings
        if s.localizations is not None and n_localizations >= s.localizations:
            return f"{n_localizations} localizations, {s.localizations} were asked for"
        if s.seconds is not None and elapsed_s >= s.seconds:
            return f"{elapsed_s:.0f} s have passed, {s.seconds:g} s were asked for"
        if s.dose is not None and dose >= s.dose:
            return (
                f"the dose is {number_text(dose, 4)}, the limit is {s.dose:g} (power times seconds)"
            )
        if s.resolution_nm is not None and resolution:
            reached_nm = resolution[-1][1]
            if reached_nm <= s.resolution_nm:
                return f"a resolution of {reached_nm:.1f} nm, {s.resolution_nm:g} were asked for"
        if s.resolution_change is not None:
            return self._plateau(resolution, s.resolution_change)
        return None

    def _plateau(self, resolution: Sequence[tuple[int, float]], limit: float) -> str | None:
        known = [(frame, nm) for frame, nm in resolution if math.isfinite(nm) and nm > 0]
        if len(known) < 2:
            return None
        last_frame, last_nm = known[-1]
        from_frame = last_frame * (1 - _LAST_PART)
        start = [k for k, (frame, _) in enumerate(known) if frame <= from_frame]
        if not start:
            return None
        # All values since, not only the ends: a resolution that wavers may meet by chance.
        recent = [nm for _, nm in known[start[-1] :]]
        change = (max(recent) - min(recent)) / last_nm
        if change >= limit:
            return None
        return (
            f"the resolution of {last_nm:.1f} nm changed by {change:.1%} over the last tenth of "
            f"the frames, less than {limit:.1%}"
        )
