"""The localizer in force with its meters, and the change to another one while a run goes on.

The next one is opened and compiled in a thread, beside the one that works; between two batches it
takes over. It never goes back by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.first_view import FirstView
from rtsmlm.engines.ladder import ladder
from rtsmlm.feedback.density.meter import DensityMeter
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.frames import Pixels
from rtsmlm.pipeline.localizer import localizer_note, open_localizer, with_localizer
from rtsmlm.pipeline.opening import open_density_meter
from rtsmlm.protocols import Localizer
from rtsmlm.realtime.worker import Worker
from rtsmlm.settings.psf import PsfSettings
from rtsmlm.settings.run import RunSettings

_END_S = 60.0
"""For a localizer that is being compiled when the run ends."""


def unchanged(pixels: Pixels) -> Pixels:
    """Return frames of a camera without masked pixels."""
    return pixels


@dataclass(frozen=True, slots=True)
class InForce:
    """A localizer that is compiled, and what is measured on its rows."""

    name: str
    """As in `localizer.name`."""
    localizer: Localizer
    sigma_nm: float
    """PSF width that it localizes with."""
    density: DensityMeter
    validity: ValidityMonitor
    faster: tuple[str, ...] = ()
    """What may take over where it does not keep up, the next best first."""
    note: str = ""
    """What to know of it, one sentence: that a fit stands in, or a pixel is not as trained."""
    is_width_assumed: bool = False
    """Whether the PSF width may be another one than that of the data."""
    reason: str = ""
    """Why it takes over from another one."""
    mend: Callable[[Pixels], Pixels] = unchanged
    """What frames go through before: the neighbours stand for masked pixels."""

    @property
    def watch(self) -> ValidityMonitor | None:
        """The validity meter; None while the width is only assumed, which it would judge."""
        return None if self.is_width_assumed else self.validity


class LocalizerMaker:
    """Makes localizers for the frames of a run.

    Parameters
    ----------
    settings
        Settings of the run.
    calibration
        Camera calibration in force.
    shape
        Height and width of the frames.
    warn
        Called with one sentence for each finding of the validity meter.
    """

    def __init__(
        self,
        settings: RunSettings,
        calibration: CameraCalibration,
        shape: tuple[int, int],
        warn: Callable[[str], None],
    ) -> None:
        self._settings, self._calibration, self._shape = settings, calibration, shape
        self._field = FirstView.of(settings.channels, shape)
        self._warn = warn
        self._mend = PixelMender(calibration)
        self._doubt = ""

    def take_camera(self, calibration: CameraCalibration, doubt: str) -> None:
        """Make localizers for another calibration from now on.

        Parameters
        ----------
        calibration
            The calibration.
        doubt
            What the frames say against it, one sentence, or nothing.
        """
        self._mend = PixelMender(calibration)
        self._calibration, self._doubt = calibration, doubt

    def take_psf(self, psf: PsfSettings) -> None:
        """Make localizers for a PSF that differs in more than its width from now on."""
        self._settings = self._settings.model_copy(update={"psf": psf})

    def open(self, name: str, sigma_nm: float) -> Localizer:
        """Return a localizer that is compiled for the frames.

        Parameters
        ----------
        name
            As in `localizer.name`.
        sigma_nm
            Standard deviation of the PSF.

        Raises
        ------
        RtsmlmError
            If it cannot be opened, or was made for another PSF.
        """
        settings = with_localizer(self._settings, name)
        localizer = open_localizer(settings, self._calibration, sigma_nm)
        localizer.warm_up(self._shape)
        return localizer

    def with_meters(
        self, name: str, localizer: Localizer, sigma_nm: float, *, is_assumed: bool = False
    ) -> InForce:
        """Return a localizer with fresh meters.

        Parameters
        ----------
        name, localizer, sigma_nm
            What `open` was given, and has returned.
        is_assumed
            Whether the width is assumed.
        """
        settings, calibration = self._settings, self._calibration
        validity = ValidityMonitor(settings, calibration, sigma_nm, self._warn, self._doubt)
        density = open_density_meter(settings, self._field, calibration, sigma_nm, localizer)
        names = ladder(settings, calibration, sigma_nm)
        faster = names[names.index(name) + 1 :] if name in names else ()
        note = localizer_note(settings, calibration, sigma_nm)
        return InForce(
            name, localizer, sigma_nm, density, validity, faster, note, is_assumed,
            mend=self._mend,
        )  # fmt: skip

    def make(self, name: str, sigma_nm: float) -> InForce:
        """Return a localizer with its meters; raises as `open`.

        Where it does not take the PSF width, it is another one: the best that does.
        """
        names = ladder(self._settings, self._calibration, sigma_nm)
        name = name if name in names else names[0]
        return self.with_meters(name, self.open(name, sigma_nm), sigma_nm)


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    sigma_nm: float
    reason: str = ""
    version: int = 0
    """Of what was measured of camera and PSF."""


class LocalizerInUse:
    """The localizer that works, and the one that is being prepared.

    Parameters
    ----------
    first
        In force from the first frame on.
    make
        Makes another one for a name and a PSF width; called in a thread.
    """

    def __init__(self, first: InForce, make: Callable[[str, float], InForce]) -> None:
        self.now = first
        """The localizer in force."""
        self._make = make
        self._wish = _Wish(first.name, first.sigma_nm)
        self._version = 0
        self._worker: Worker | None = None
        self._prepared: tuple[_Wish, InForce] | None = None

    @property
    def is_changing(self) -> bool:
        """Whether another one is wanted and has not taken over yet."""
        is_same = self.wanted == (self.now.name, self.now.sigma_nm)
        return not is_same or self._wish.version != self._version

    @property
    def wanted(self) -> tuple[str, float]:
        """Name and PSF width that were asked for last."""
        return self._wish.name, self._wish.sigma_nm

    def want(
        self,
        reason: str,
        *,
        name: str | None = None,
        sigma_nm: float | None = None,
        anew: bool = False,
    ) -> None:
        """Ask for another localizer or width; what is not given stays as it was asked for last.

        Parameters
        ----------
        reason
            Why, as a clause.
        name
            As in `localizer.name`.
        sigma_nm
            PSF width.
        anew
            For another calibration of the camera, or a PSF that differs in more than its width.
        """
        before = self._wish
        reasons = [before.reason, reason] if self.is_changing and before.reason else [reason]
        version = before.version + anew
        text = "; ".join(reasons)
        self._wish = _Wish(name or before.name, sigma_nm or before.sigma_nm, text, version)

    def replace(self, localizer: InForce, *, version: int | None = None) -> None:
        """Put a localizer in force at once, and forget what was wanted but a new calibration.

        Parameters
        ----------
        localizer
            The localizer.
        version
            Of the calibration that it was made for, where that is another one than before.
        """
        self._version = self._version if version is None else version
        self._wish = _Wish(localizer.name, localizer.sigma_nm, version=self._wish.version)
        self.now = localizer

    def change(self) -> InForce | None:
        """Return the localizer that takes over from now on; None while the present one stays.

        Returns at once: what is wanted is prepared in a thread.

        Raises
        ------
        BaseException
            Whatever preparing raised; what is in force is wanted again.
        """
        if not self.is_changing:
            return None
        worker = self._worker
        if worker is None:
            self._prepare()
            return None
        if worker.alive:
            return None
        self._worker, prepared, self._prepared = None, self._prepared, None
        if worker.error is not None:
            self._wish = _Wish(self.now.name, self.now.sigma_nm, version=self._version)
            raise worker.error
        if prepared is None or prepared[0] != self._wish:  # something else is wanted by now
            return None
        now = replace(prepared[1], reason=self._wish.reason)
        self.replace(now, version=self._wish.version)
        return self.now

    def _prepare(self) -> None:
        wish = self._wish

        def work(stop: threading.Event) -> None:
            self._prepared = wish, self._make(wish.name, wish.sigma_nm)

        # Of normal priority: threads of a network that it starts would inherit a lower one.
        self._worker = Worker("next-localizer", work, on_death=lambda error: None)
        self._worker.start()

    def close(self) -> None:
        """Wait for what is being prepared, and drop it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end(_END_S)
