"""LocalizerChanges: when another localizer takes over during a run, and what is said of it.

There are two reasons: the PSF was measured, and differs from the one that was assumed or stated for
the first frames; or `auto` was chosen, and the localizer does not keep up with the camera.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from rtsmlm.files.wrong_pixels import NAME as WRONG_PIXELS
from rtsmlm.files.wrong_pixels import write_wrong_pixels
from rtsmlm.fitting.psf_meter import PsfWidth
from rtsmlm.pipeline.backlog_watch import GROWS_S, BacklogWatch
from rtsmlm.pipeline.camera_look import CameraFound
from rtsmlm.pipeline.events import Event, PsfMeasured, Warned
from rtsmlm.pipeline.in_force import InForce, LocalizerInUse, LocalizerMaker
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.start_events import CameraMeasured, Informed, LocalizerInForce
from rtsmlm.realtime.worker import one_line

SAME_WIDTH = 0.02
"""Part by which a PSF width that was measured may differ from the assumed one, which then stays: it
scatters by half as much, and photons by as much."""


class LocalizerChanges:
    """The localizer in force, and the change to another one.

    Parameters
    ----------
    job
        What the analysis is to do.
    maker
        Makes localizers.
    emit
        Called with every event.
    first
        The localizer of the first frame.
    rates
        Frames localized per second by those that were tried, by their names.
    watch
        Watches the backlog.
    on_width
        Called with the PSF width that is in force for good, and what else was measured of the PSF.
    """

    def __init__(
        self,
        job: PipelineJob,
        maker: LocalizerMaker,
        emit: Callable[[Event], None],
        *,
        first: InForce,
        rates: Mapping[str, float],
        watch: BacklogWatch,
        on_width: Callable[[float, Mapping[str, float]], None],
    ) -> None:
        self._job = job
        self._maker, self._emit, self._on_width = maker, emit, on_width
        self._rates, self._backlog = rates, watch
        self._in_use = LocalizerInUse(first, maker.make)
        self._camera: CameraFound | None = None
        self._psf: PsfWidth | None = None
        self._is_fastest = job.settings.pipeline.when_behind == "wait"

    @property
    def now(self) -> InForce:
        """The localizer in force."""
        return self._in_use.now

    def begin(self, next_frame: int) -> None:
        """Note the localizer of the first frame."""
        if self.now.note:
            self._emit(Warned(self.now.note))
        self._note(next_frame)

    def camera_found(self, found: CameraFound, *, before_first: bool = False) -> None:
        """Say what the first frames tell of the camera, and ask for a localizer with it.

        Parameters
        ----------
        found
            What was found.
        before_first
            No frame is localized yet: `begin_with` follows.
        """
        if found.informed:
            self._emit(Informed(found.informed))
        if found.warned:
            self._emit(Warned(found.warned))
        if found.kind.any():
            write_wrong_pixels(self._job.folder / WRONG_PIXELS, found.kind)
        self._maker.take_camera(found.calibration, found.doubt)
        if found.doubt:
            self.now.validity.add_doubt(found.doubt)
        if found.changes:
            self._camera = found
            if not before_first:
                self._in_use.want("the camera is measured", anew=True)

    def begin_with(self, width: PsfWidth, next_frame: int) -> None:
        """Make and note the localizer of the first frame, with the PSF measured before it."""
        self._tell(width)
        self._in_use.replace(self._maker.make(self.now.name, width.sigma_nm))
        self._state_psf(width, 0)
        self._state_camera(0)
        self.begin(next_frame)

    # -- between two batches -----------------------------------------------------------------

    def width_found(self, width: PsfWidth) -> None:
        """Go on with the PSF that was assumed or stated, or ask for the one that was measured."""
        now = self.now
        self._tell(width)
        if self._differs(width):
            self._psf = width
            self._in_use.want("the PSF is measured", sigma_nm=width.sigma_nm, anew=True)
            return
        if not now.is_width_assumed:
            return
        if abs(width.sigma_nm / now.sigma_nm - 1.0) <= SAME_WIDTH:
            self._in_use.replace(replace(now, is_width_assumed=False))
            self._state_psf(PsfWidth(now.sigma_nm), 0)
            return
        self._in_use.want("the PSF width is measured", sigma_nm=width.sigma_nm)

    def watch_backlog(self, backlog: int, t_ns: int) -> None:
        """Ask for a faster localizer where the backlog has grown for long.

        Parameters
        ----------
        backlog
            Frames that wait.
        t_ns
            The time now.
        """
        if self._is_fastest or self._in_use.is_changing or not self._backlog.grows(backlog, t_ns):
            return
        if not (faster := self.now.faster):
            self._is_fastest = True
            return
        reason = f"the backlog of {self.now.name} grew for {GROWS_S:g} s, to {backlog} frames"
        self._in_use.want(reason, name=faster[0])

    def change(self, next_frame: int) -> None:
        """Put another localizer in force, where one is ready; announce and note it.

        Raises
        ------
        RtsmlmError
            If the localizer does not take the PSF width that was measured.
        """
        before = self.now
        try:
            now = self._in_use.change()
        except Exception as error:
            if before.is_width_assumed:
                raise
            what = "the next faster one"
            if self._psf is None:
                self._is_fastest = True
            else:
                what, self._psf = "with the PSF that was measured", None
                self._maker.take_psf(self._job.settings.psf)
            self._emit(Warned(f"{before.name} goes on: {what}: {one_line(error)}"))
            return
        if now is None:
            return
        self._backlog.reset()
        psf, self._psf = self._psf, None
        if psf is not None or (before.is_width_assumed and not now.is_width_assumed):
            self._state_psf(psf or PsfWidth(now.sigma_nm), next_frame)
        self._state_camera(next_frame)
        if now.note and now.note != before.note:
            self._emit(Warned(now.note))
        self._note(next_frame)
        text = f"from frame {next_frame} on {now.name} localizes"
        if psf is not None and now.name == before.name:
            self._emit(Informed(f"{text} with the PSF that lone emitters show"))
        elif (now.name, now.sigma_nm) == (before.name, before.sigma_nm):
            self._emit(Informed(f"{text} with what the first frames tell of the camera"))
        elif now.name == before.name:
            found, assumed = f"{now.sigma_nm:.0f} nm", f"{before.sigma_nm:.0f} nm"
            self._emit(Informed(f"{text} with the measured PSF width, {found} ({assumed} before)"))
        else:
            self._emit(Warned(f"{text}: {now.reason}"))

    def finish(self, next_frame: int) -> None:
        """State the PSF that was found too late for any frame."""
        if self._psf is not None:
            self._state_psf(self._psf, next_frame)
        elif self._in_use.is_changing and self.now.is_width_assumed:
            self._state_psf(PsfWidth(self._in_use.wanted[1]), next_frame)
        self._state_camera(next_frame)

    def close(self) -> None:
        """Drop what is being prepared."""
        self._in_use.close()

    def _differs(self, width: PsfWidth) -> bool:
        """Whether the PSF is another one than is stated, and not by an assumed width alone."""
        if not width.values and self.now.is_width_assumed:
            return False
        return bool(width.values) or width.sigma_nm != self.now.sigma_nm

    def _tell(self, width: PsfWidth) -> None:
        """Say what is changed, and make localizers for it from now on."""
        if width.told:
            self._emit(Warned(width.told))
        self._maker.take_psf(self._job.settings.psf.with_measured(width.values))

    def _state_psf(self, psf: PsfWidth, from_frame: int) -> None:
        self._on_width(psf.sigma_nm, psf.values)
        self._emit(PsfMeasured(psf.sigma_nm, from_frame, dict(psf.values)))

    def _state_camera(self, from_frame: int) -> None:
        """State once from which frame on the calibration that was found is in force."""
        found, self._camera = self._camera, None
        if found is not None:
            self._emit(
                CameraMeasured(
                    from_frame=from_frame,
                    has_wrong_pixels=bool(found.kind.any()),
                    e_per_adu=found.values.get("e_per_adu", math.nan),
                    offset_adu=found.values.get("offset_adu", math.nan),
                )
            )

    def _note(self, next_frame: int) -> None:
        """Note which localizer is in force from the next frame on."""
        now = self.now
        self._emit(
            LocalizerInForce(
                from_frame=next_frame,
                name=now.name,
                label=now.localizer.name,
                psf_sigma_nm=now.sigma_nm,
                reason=now.reason,
                frames_per_s=self._rates.get(now.name, math.nan),
                camera_frames_per_s=self._job.camera_frames_per_s or math.nan,
            )
        )
