"""Interview: the questions of `rtsmlm init`, each with what the core or the database suggests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rtsmlm.calibrate.camera import calibrate_camera
from rtsmlm.calibrate.pixel_statistics import PixelStatistics
from rtsmlm.cli.console import console
from rtsmlm.drivers.micromanager.camera import MicroManagerCamera
from rtsmlm.drivers.micromanager.core import choose_camera, stated_calibration
from rtsmlm.drivers.micromanager.device_survey import FoundLaser, devices_of, lasers_of
from rtsmlm.errors import ConfigError, number_text
from rtsmlm.frames import Pixels
from rtsmlm.settings.camera import AcquisitionSettings, MicroManagerSettings
from rtsmlm.settings.run import RunSettings

if TYPE_CHECKING:
    from pymmcore_plus.experimental.unicore import UniMMCore

T = TypeVar("T")
Ask = Callable[[int, str, str, str], str]
"""Asks a person: number of the question, its text, the default, and what was wrong before."""
DARK_FRAMES = 100
NONE, AUTO = "none", "auto"
_NAMES = (
    "camera", "exposure_ms", "roi", "pixel_nm", "dark", "offset_adu", "e_per_adu", "steered",
    "max_power", "readout",
)  # fmt: skip


@dataclass(slots=True)
class Answers:
    """What is known of a microscope after the questions."""

    camera: str = ""
    exposure_ms: float = 10.0
    roi: tuple[int, ...] = ()
    """x, y, width, height; empty leaves the region that the camera has."""
    values: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Settings of the camera with where each is from; what the camera states itself is not here."""
    stated: dict[str, float] = field(default_factory=dict)
    """What the camera states itself, whenever it is asked."""
    steered: FoundLaser | None = None
    max_power: float | None = None
    readout: FoundLaser | None = None
    notes: list[str] = field(default_factory=list)


class Interview:
    """Asks about a core that is loaded, and measures what it is allowed to.

    Parameters
    ----------
    core
        With its devices loaded; it is asked, and nothing is set.
    settings
        Settings that it was loaded with.
    answers
        Answers that were given beforehand, by the name of the question.
    ask
        Asks a person; None takes the defaults.

    Raises
    ------
    ConfigError
        If an answer is given to a question that there is not.
    """

    def __init__(
        self,
        core: UniMMCore,
        settings: RunSettings,
        answers: Mapping[str, str],
        *,
        ask: Ask | None,
    ) -> None:
        self._core, self._settings, self._ask = core, settings, ask
        self._given = dict(answers)
        self.n_asked = 0
        self._dark_noise_adu = math.nan
        if unknown := sorted(set(answers) - set(_NAMES)):
            raise ConfigError(
                f"there is no question {unknown[0]!r} to be answered; they are {', '.join(_NAMES)}"
            )

    def run(self) -> Answers:
        """Ask all questions.

        Raises
        ------
        RtsmlmError
            If an answer cannot be, or the camera gives no frames in the dark.
        """
        # A sequence of frames would open the shutter of the core by itself.
        self._core.setAutoShutter(False)
        found = Answers()
        cameras = [one.label for one in devices_of(self._core) if one.kind == "Camera"]
        current = str(self._core.getCameraDevice()) or (cameras[0] if cameras else "")
        found.camera = self._one_of("camera", f"Camera ({', '.join(cameras)})", current, cameras)
        choose_camera(self._core, found.camera)
        exposure = float(self._core.getExposure(found.camera))
        found.exposure_ms = self._number("exposure_ms", "Exposure per frame, ms", exposure or 10.0)
        found.roi = self._region()
        self._ask_of_camera(found)
        self._ask_of_lasers(found)
        return found

    def _ask_of_camera(self, found: Answers) -> None:
        stated = stated_calibration(self._core, found.camera)
        names = ("pixel_nm", "offset_adu", "e_per_adu", "em_gain", "read_noise_e")
        found.stated = {n: v for n in names if (v := getattr(stated, n)) is not None}
        usual = {one.name: one for one in stated.usual}
        for name in ("em_gain", "read_noise_e"):
            if name not in found.stated and name in usual:
                found.values[name] = (usual[name].value, f"database: {usual[name].source}")
        texts = {
            "pixel_nm": "Pixel in the sample plane, nm",
            "offset_adu": "Value in the dark, ADU (auto: by the first frames)",
            "e_per_adu": "Electrons per ADU, see the data sheet (auto: by the first frames)",
        }
        is_dark = False
        for name, text in texts.items():
            if name == "offset_adu":
                is_dark = self._measures_dark(found)
                if is_dark:
                    continue
            default, source = found.stated.get(name), "the camera states it"
            if default is None and name in usual:
                default, source = usual[name].value, f"database: {usual[name].source}"
            if default is None and name == "pixel_nm":
                default, source = 100.0, "a guess: camera pixel over magnification"
            shown = AUTO if default is None else default
            value = self._number(name, text, shown, least=0.0, may_be_auto=name != "pixel_nm")
            is_default = default is not None and f"{value:g}" == f"{default:g}"
            if math.isnan(value) or (is_default and name in found.stated):
                continue
            found.values[name] = (value, source if is_default else "answered to rtsmlm init")
        self._noise_of_dark(found, is_dark=is_dark)

    def _measures_dark(self, found: Answers) -> bool:
        text = f"Is the camera covered, to measure {DARK_FRAMES} frames in the dark (yes, no)"
        if self._one_of("dark", text, "no", ["yes", "no"]) == "no":
            return False
        dark = PixelStatistics("the frames in the dark")
        for pixels in self._frames(found):
            dark.add(pixels[np.newaxis])
        measured = calibrate_camera(dark)
        found.notes += measured.notes
        source = f"median of {dark.n_frames} frames in the dark"
        found.values["offset_adu"] = (round(measured.median_offset_adu, 2), source)
        self._dark_noise_adu = measured.read_noise_adu
        return True

    def _frames(self, found: Answers) -> Iterator[Pixels]:
        """Yield frames of the camera as it would run, its shutter left alone."""
        roi = found.roi
        settings = MicroManagerSettings(
            camera=found.camera, roi=(roi[0], roi[1], roi[2], roi[3]) if roi else None
        )
        acquisition = AcquisitionSettings(exposure_ms=found.exposure_ms)
        camera = MicroManagerCamera(self._core, settings=settings, acquisition=acquisition)
        with console.status("recording in the dark"):
            for frame in camera.stream(Event(), DARK_FRAMES):
                yield frame.pixels
        camera.close()

    def _noise_of_dark(self, found: Answers, *, is_dark: bool) -> None:
        gain = found.values.get("e_per_adu", (found.stated.get("e_per_adu"), ""))[0]
        if is_dark and gain is not None:
            noise_e = float(f"{self._dark_noise_adu * gain:.3g}")
            found.values["read_noise_e"] = (noise_e, f"{DARK_FRAMES} frames in the dark")
        elif is_dark:
            found.notes.append(
                f"the read noise is {number_text(self._dark_noise_adu)} ADU; without "
                "camera.e_per_adu it cannot be stated in electrons"
            )

    def _ask_of_lasers(self, found: Answers) -> None:
        lasers = {laser.name: laser for laser in lasers_of(self._core)}
        names = [*lasers, NONE]
        usual = next((name for name in lasers if "405" in name), NONE)
        listed = ", ".join(names)
        steered = self._one_of("steered", f"Laser that the density steers ({listed})", usual, names)
        if steered != NONE:
            found.steered = laser = lasers.pop(steered)
            found.max_power = self._cap(laser)
        names = [*lasers, NONE]
        usual = next((n for line in ("640", "647", "561") for n in lasers if line in n), NONE)
        text = f"Laser that excites ({', '.join(names)})"
        readout = self._one_of("readout", text, usual, names)
        found.readout = lasers.get(readout)

    def _cap(self, laser: FoundLaser) -> float:
        most = laser.limits[1] if laser.limits else math.inf
        unit, limit = laser.properties.unit, ""
        if laser.limits:
            limit = f", {laser.limits[0]:g} to {most:g} by the device"
        default = most if math.isfinite(most) and most > 0 else 1.0
        text = f"Its cap, {unit}, never exceeded{limit}"
        return self._number("max_power", text, default, least=0.0, most=most)

    # -- kinds of answers ------------------------------------------------------------------

    def _region(self) -> tuple[int, ...]:
        """Return the region of interest, empty for the one that is set."""

        def region(text: str) -> tuple[int, ...]:
            if text.strip().lower() in ("", NONE):
                return ()
            parts = tuple(int(part) for part in text.replace("[", "").replace("]", "").split(","))
            if len(parts) != 4 or min(parts) < 0 or min(parts[2:]) < 1:
                raise ValueError("a region has four numbers: x, y, width, height")
            return parts

        return self._answer(
            "roi", "Region on the chip: x, y, width, height (none: as it is)", NONE, region
        )

    def _one_of(self, name: str, text: str, default: str, choices: list[str]) -> str:
        def choice(given: str) -> str:
            found = [one for one in choices if one.casefold() == given.strip().casefold()]
            if not found:
                raise ValueError(f"it is one of {', '.join(choices) or 'nothing that there is'}")
            return found[0]

        return self._answer(name, text, default, choice)

    def _number(
        self,
        name: str,
        text: str,
        default: float | str,
        *,
        least: float = 0.0,
        most: float = 1e6,
        may_be_auto: bool = False,
    ) -> float:
        def number(given: str) -> float:
            if may_be_auto and given.strip().lower() == AUTO:
                return math.nan
            value = float(given.replace(",", "."))
            if not least <= value <= most or (value == 0 and name != "offset_adu"):
                raise ValueError(f"it lies above {least:g} and is at most {most:g}")
            return value

        shown = default if isinstance(default, str) else f"{default:g}"
        return self._answer(name, text, shown, number)

    def _answer(self, name: str, text: str, default: str, read: Callable[[str], T]) -> T:
        """Return the answer that was given beforehand, a person's, or the default."""
        self.n_asked += 1
        problem = ""
        while True:
            given = self._given.get(name)
            if given is None:
                given = (
                    default
                    if self._ask is None
                    else self._ask(self.n_asked, text, default, problem)
                )
            try:
                return read(given)
            except ValueError as error:
                problem = f"{given!r} is no answer to {name}: {error}"
                if self._ask is None or name in self._given:
                    raise ConfigError(problem) from error
