"""LiveWidget: a run while it goes on, or afterwards; it polls its source, and delays no run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rtsmlm.stream.messages import NoticeMessage
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.closing import Closing
from rtsmlm.viewer.commands import Command, Control, LasersOff, describe
from rtsmlm.viewer.dropped import DroppedFiles
from rtsmlm.viewer.export import Exporter, ask_for_path
from rtsmlm.viewer.final_account import FinalAccount
from rtsmlm.viewer.guide import Guide
from rtsmlm.viewer.light_state import LightState
from rtsmlm.viewer.owner_notice import OwnerNotice
from rtsmlm.viewer.panels.acquisition_panel import AcquisitionPanel
from rtsmlm.viewer.panels.camera_panel import CameraPanel
from rtsmlm.viewer.panels.experiment_panel import ExperimentPanel
from rtsmlm.viewer.panels.header import Header
from rtsmlm.viewer.panels.histogram_panel import HistogramPanel
from rtsmlm.viewer.panels.laser_panel import LaserPanel
from rtsmlm.viewer.panels.ledger_lights import LedgerLights
from rtsmlm.viewer.panels.light_warnings import LightWarnings
from rtsmlm.viewer.panels.local_lasers_off import LocalLasersOff
from rtsmlm.viewer.panels.messages import Messages
from rtsmlm.viewer.panels.run_end import RunEnd
from rtsmlm.viewer.panels.super_res_panel import SuperResPanel
from rtsmlm.viewer.panels.trends_panel import TrendsPanel
from rtsmlm.viewer.refresher import Refresher
from rtsmlm.viewer.series import RunSeries
from rtsmlm.viewer.sources.updates import Source
from rtsmlm.viewer.themed_widget import P, ThemedWidget
from rtsmlm.viewer.widgets.controls import add_shortcuts
from rtsmlm.viewer.widgets.laser_key import LaserKey
from rtsmlm.viewer.widgets.qt import QtGui, QtWidgets
from rtsmlm.viewer.window_layout import MARGIN

VIEW_ONLY = "view only: this window cannot control the run"


class LiveWidget(ThemedWidget):
    """The live window.

    Parameters
    ----------
    source
        Where the updates come from; closed with the widget.
    control
        Takes the commands; None makes it a window to view only.
    parent
        Owner.
    settings_file
        Ini file with the preferences; None takes the place that the system has for it.
    is_armed
        As for `LightState`.
    """

    def __init__(
        self,
        source: Source,
        control: Control | None = None,
        parent: QtWidgets.QWidget | None = None,
        *,
        settings_file: Path | None = None,
        is_armed: bool = False,
    ) -> None:
        super().__init__(parent, settings_file)
        self.source, self.control = source, control
        self._why_not = None if control is not None else VIEW_ONLY
        self._is_closed = False
        self.final_account = FinalAccount()
        self.series = RunSeries()
        self.light = LightState(is_armed=is_armed)
        self._make_panels()
        self._connect()
        self._read_preferences()
        self._set_why_not()
        self.laser_key = LaserKey(self.lasers_off, self._can_switch_off, self)
        self.refresher = Refresher(self, source)

    # -- making --------------------------------------------------------------------------

    def _make_panels(self) -> None:
        """Make and place the panels: one more is a line here."""
        at = self.layout_parts
        header = Header(self.ask, self._overrides, self.light)
        self.header = self._add(header, at.top.addWidget)
        self.warnings = self._add(LightWarnings(self.light), at.under_top.addWidget)
        self.run_end = self._add(RunEnd(), at.under_top.addWidget)
        self.camera = self._add(CameraPanel(), at.place("left", "Camera"))
        self.experiment = self._add(
            ExperimentPanel(self.preferences), at.place("left", "Next run", grows=False)
        )
        self.acquisition = self._add(AcquisitionPanel(), at.place("left", "Next run", grows=False))
        self.laser = self._add(LaserPanel(self.ask), at.place("left", "Laser", grows=False))
        self.super_res = self._add(SuperResPanel(self.preferences), at.place("middle", "Image"))
        self.trends = self._add(TrendsPanel(self.series), at.place("right", "Curves"))
        self.histograms = self._add(HistogramPanel(self.series), at.place("right", "Filters"))
        self.messages = self._add(Messages(), lambda panel: self.trends.addTab(panel, "Messages"))
        self.lights = self._add(LedgerLights(), at.bottom.addWidget)
        self.local_off = self._add(
            LocalLasersOff(self.header.allow_off, self.report), lambda panel: None
        )
        exporter = Exporter(self.super_res, self.report, self.report_failure)
        self.exporter = self._add(exporter, lambda panel: None)
        guide = Guide(self, {
            "camera": self.camera, "image": self.super_res, "laser": self.laser,
            "experiment": self.experiment, "curves": self.trends, "filters": self.histograms,
            "lights": self.lights, "header": self.header,
        })  # fmt: skip
        self.guide = self._add(guide, lambda panel: at.under_top.addWidget(panel.walk_through))
        self.help, self.walk_through = guide.help, guide.walk_through
        self.closing = Closing(self, self.light)
        self.dropped = DroppedFiles(self, self.report, self.report_failure)

    def _add(self, panel: P, place: Callable[[P], object]) -> P:
        place(panel)
        self.panels.append(panel)
        return panel

    def _connect(self) -> None:
        self.acquisition.draw_asked.connect(self._draw_roi)
        self.camera.roi_drawn.connect(self.acquisition.take_roi)
        self.camera.band.cancelled.connect(lambda: self.acquisition.draw.setChecked(False))
        self.messages.changed.connect(self._show_messages)
        self.super_res.export_asked.connect(self.ask_where_to_export)
        self.super_res.follow_filters(self.histograms, self.report, self.report_failure)
        self.camera.detections.toggled.connect(lambda on: self.preferences.set("detections", on))
        self.trends.currentChanged.connect(lambda tab: self.preferences.set("tab", tab))
        self.header.off.pressed.connect(self.lasers_off)  # not only when released
        self.header.theme.clicked.connect(self.next_theme)
        self.header.help.clicked.connect(lambda: self.help.show_section())
        add_shortcuts(self, {
            "F1": self.guide.help_here,
            "F5": self.header.start.click,
            "Shift+F5": self.header.stop.click,
            "F6": self.header.snap.click,
            "Ctrl+E": self.super_res.export.click,
        })  # fmt: skip

    def _read_preferences(self) -> None:
        get = self.preferences.get
        self.camera.detections.setChecked(get("detections"))
        self.trends.setCurrentIndex(get("tab"))
        self.apply_theme()
        self.layout_parts.restore(self.preferences)  # after it, as it decides on the least widths

    # -- appearance ----------------------------------------------------------------------

    def fit(self, *, anew: bool = False) -> None:
        """Give every part a form for which there is room."""
        self.header.fit(self.width() - 2 * MARGIN)
        super().fit(anew=anew)

    def _show_messages(self, count: int, newest: NoticeMessage | None) -> None:
        self.trends.show_count(self.messages, "Messages", count)
        if newest is not None:
            self.report(newest.text, self.messages.color_of(newest))

    def show_settings(
        self, settings: SettingsPart, shape: tuple[int, int] | None, exposure_ms: float
    ) -> None:
        """Show what the next run has by its configuration, as `AcquisitionPanel.show_settings`."""
        self.experiment.show_settings(settings)
        self.acquisition.show_settings(settings, shape, exposure_ms)

    def show_notice(self, notice: OwnerNotice) -> None:
        """Show what the program that owns the runs reports between two of them."""
        if notice.picture:
            self.camera.show_file(Path(notice.picture))
        self.messages.add(notice.text, notice.level)

    # -- commands ----------------------------------------------------------

    def ask(self, command: Command) -> bool:
        """Hand a command to the control and show that; without one show why not: False."""
        if self.control is None or self._why_not is not None:
            self.report(f"{describe(command)}: {self._why_not}", self.theme.amber)
            return False
        self.control.ask(command)
        self.report(f"Asked: {describe(command)}")
        return True

    def lasers_off(self) -> None:
        """Switch all lasers off and latch them; where that is not possible from here, show why."""
        if self.local_off.ask() or self.ask(LasersOff()):
            self.light.note_off()
            self.header.refresh()

    def _can_switch_off(self) -> bool:
        return self._why_not is None or self.local_off.is_possible

    def _overrides(self) -> list[str]:
        panels = (self.experiment, self.acquisition, self.laser)
        return [text for panel in panels for text in panel.overrides()]

    def lose_control(self, why: str) -> None:
        """View only from now on, and show why."""
        self.control, self._why_not = None, why
        self._set_why_not()
        self.report(why, self.theme.amber)

    def _set_why_not(self) -> None:
        for panel in self.panels:
            panel.set_why_not(self._why_not)

    def _draw_roi(self, on: bool) -> None:
        self.camera.draw_roi(self.acquisition.roi_on_image() if on else None)

    def ask_where_to_export(self) -> None:
        """Show a dialog for the file."""
        ask_for_path(self, self.export, self.run_end.folder)

    def export(self, path: Path) -> None:
        """Write what is on screen as .tif and .png."""
        self.exporter.write(path, self.source.name)

    # -- life ----------------------------------------------------------------------------

    def follow(self, source: Source, folder: Path | None = None) -> None:
        """Show another source from now on; the one before is closed.

        Parameters
        ----------
        source
            Of the run to show.
        folder
            Its folder, where that is known and on this machine.
        """
        self.source = source
        self.final_account.close()
        self.final_account.folder = folder
        self.refresher.follow(source)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        """Begin the first tour once."""
        super().showEvent(event)
        self.fit()
        self.super_res.canvas.setFocus()
        self.guide.begin_on_first_start(is_narrow=self.layout_parts.is_narrow)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Release everything, unless the user is asked first."""
        has_control = self.control is not None and not self._is_closed
        if not self.closing.allows(has_control=has_control):
            event.ignore()
            return
        self.closing.report()
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Remember the layout and release source, threads and keys. Safe to call more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(RuntimeError):  # the host may have deleted what is shown
            self.laser_key.release()
            self.help.close()
            self.layout_parts.save(self.preferences)
            self.preferences.save()
        self.refresher.close()
        self.super_res.close_picture()
        self.camera.close_recording()
        self.final_account.close()
        self.exporter.close()
