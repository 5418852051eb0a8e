"""Lasers that are opened only to be switched off: what the sentinel does, and rehearses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from threading import Event

from rtsmlm import plugins
from rtsmlm.drivers.micromanager.lasers_only import (
    LaserConfiguration,
    core_of_lasers,
    loaded_together,
)
from rtsmlm.errors import DeviceError
from rtsmlm.plugins import CoreSource
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.at_once import at_once
from rtsmlm.settings.lasers import LaserSettings

_SEEN_S = 1.0
"""A power meter averages; a laser that is still seen after it was not switched off."""
_LOOK_S = 0.02
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.03, 2.0
"""A port becomes free a moment after the death of its owner; a broken one costs no core."""
_DARK_MW, _OF_CAP = 0.5, 0.1
"""A meter that shows less than both is dark: the same allowance as that of the guard."""


class LaserGroup:
    """Lasers that have to be loaded together, because they share a hub or a port.

    Parameters
    ----------
    configuration
        That of the whole microscope, in memory.
    lasers
        By name.
    """

    def __init__(
        self, configuration: LaserConfiguration, lasers: Mapping[str, LaserSettings]
    ) -> None:
        self._configuration = configuration
        self.lasers = dict(lasers)
        self._at_work = threading.Lock()

    def turn_dark(self) -> dict[str, str]:
        """Load the lasers, switch each one off, see it dark, and release all of them.

        Returns
        -------
        dict of str to str
            What went wrong, by laser; empty if all are dark. Raises nothing.
        """
        if not self._at_work.acquire(blocking=False):
            return dict.fromkeys(self.lasers, "its device has not answered yet")
        try:
            with core_of_lasers(self._configuration, self.lasers.values()) as core:
                return self._switch_off(core)
        except Exception as error:  # while the core is released; drivers raise what they like
            return dict.fromkeys(self.lasers, _one_line(error))
        finally:
            self._at_work.release()

    def insist(self, for_s: float, on_dark: Callable[[str, int], None]) -> dict[str, str]:
        """Switch the lasers off until all are dark; return what was wrong in the end, by laser.

        Parameters
        ----------
        for_s
            Give up after so long.
        on_dark
            Called with the name of a laser as soon as it is dark, and the number of attempts.
        """
        until_ns = now_ns() + round(for_s * 1e9)
        pause, pause_s, attempt = Event(), _FIRST_PAUSE_S, 1
        reported: set[str] = set()
        while True:
            failed = self.turn_dark()
            for name in self.lasers.keys() - failed.keys() - reported:
                reported.add(name)
                on_dark(name, attempt)
            if not failed or now_ns() > until_ns:
                return failed
            pause.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            attempt += 1

    def _switch_off(self, core: CoreSource) -> dict[str, str]:
        failed: dict[str, str] = {}
        opened: dict[str, Actuator] = {}
        # All are told first: seeing one dark takes time, and must not keep the next one waiting.
        for name, settings in self.lasers.items():
            try:
                opened[name] = plugins.find_laser(settings.driver)(name, settings, core)
                if texts := opened[name].make_safe():
                    failed[name] = "; ".join(texts)
            except Exception as error:  # the port may not be free yet
                failed[name] = _one_line(error)
        for name, laser in opened.items():
            if name not in failed and (why := _still_lit(laser, self.lasers[name])):
                failed[name] = why
            laser.close()
        return failed


def turn_dark(groups: Iterable[LaserGroup], timeout_s: float) -> dict[str, str]:
    """Switch lasers off, all groups at the same time; return what went wrong, by laser.

    Parameters
    ----------
    groups
        Which lasers.
    timeout_s
        A group that needs longer counts as failed, and holds up no other.
    """
    by_name = {", ".join(group.lasers): group for group in groups}
    results = at_once({name: group.turn_dark for name, group in by_name.items()}, timeout_s)
    failed: dict[str, str] = {}
    for name, result in results.items():
        if isinstance(result, DeviceError):
            failed |= dict.fromkeys(by_name[name].lasers, str(result))
        else:
            failed |= result
    return failed


def groups_of(
    configuration: LaserConfiguration, lasers: Mapping[str, LaserSettings]
) -> list[LaserGroup]:
    """Return the lasers in groups that can be opened at the same time."""
    return [LaserGroup(configuration, group) for group in loaded_together(configuration, lasers)]


def _still_lit(laser: Actuator, settings: LaserSettings) -> str:
    """Return what is still seen of a laser that was switched off, empty if it is dark."""
    of_cap = _OF_CAP * (settings.max_power or 1.0)
    limit = min(_DARK_MW, of_cap) if laser.unit == "mW" else of_cap
    until_ns = now_ns() + round(_SEEN_S * 1e9)
    pause = Event()
    while True:
        try:
            seen = laser.readback()
            dark = laser.setpoint() == 0.0 if seen is None else abs(seen) <= limit
        except Exception as error:
            return _one_line(error)
        if dark:
            return ""
        if now_ns() > until_ns:
            if seen is None:
                return "its set point is not 0 after it was switched off"
            return f"{seen:g} {laser.unit} are measured after it was switched off"
        pause.wait(_LOOK_S)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
