"""RtsmlmWidget: localize on the core of the program that embeds it, as pymmcore-widgets do."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymmcore_plus import CMMCorePlus

from rtsmlm.drivers.micromanager.library_log import without_library_errors
from rtsmlm.errors import RtsmlmError
from rtsmlm.session.attach import attach
from rtsmlm.settings.load import load
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.embedded_session import EmbeddedSession
from rtsmlm.viewer.live_widget import LiveWidget
from rtsmlm.viewer.sources.no_run import NoRun
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.widgets.controls import allow, button, explained, label
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

if TYPE_CHECKING:
    from rtsmlm.session.session import Session

_UPDATE_MS = 200
_log = logging.getLogger(__name__)
_ANY_PORT = "stream.address=tcp://127.0.0.1:*"


class RtsmlmWidget(QtWidgets.QWidget):
    """Start and stop localizing on a core, and show the run.

    Parameters
    ----------
    parent
        Owner.
    mmcore
        A `CMMCorePlus` with a camera; None takes `CMMCorePlus.instance()`.
    settings_file
        Ini file with the preferences; None takes the place that the system has for it.
    """

    def __init__(
        self,
        *,
        parent: QtWidgets.QWidget | None = None,
        mmcore: CMMCorePlus | None = None,
        settings_file: Path | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("rtsmlm")
        with without_library_errors():
            self._core = mmcore or CMMCorePlus.instance()
        self.session = EmbeddedSession(self._attach)
        self.live = LiveWidget(NoRun(), self.session, settings_file=settings_file)
        self.overrides: tuple[str, ...] = ()
        """Further `section.key=value` texts for every run."""
        self._watched: str | None = None
        self._is_closed = False
        self._make_row()
        self._show_configuration()
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_UPDATE_MS)
        self._timer.timeout.connect(self.follow_session)
        self._timer.start()
        application = QtWidgets.QApplication.instance()
        if application is not None:
            # Not the method itself, which is forgotten where the host deletes its window first.
            application.aboutToQuit.connect(lambda: self.shut_down())

    def _make_row(self) -> None:
        self.config = QtWidgets.QLineEdit()
        self.config.setPlaceholderText("defaults")
        explained(self.config, "Run configuration (TOML file); empty takes all defaults (no unit).")
        self.browse = button("Choose …", "Choose a run configuration (TOML file; no unit).")
        self.browse.clicked.connect(self._choose)
        self.config.textChanged.connect(self._show_configuration)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(label("Configuration"))
        row.addWidget(self.config, 1)
        row.addWidget(self.browse)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.live, 1)

    def _config_path(self) -> Path | None:
        text = self.config.text().strip()
        return Path(text) if text else None

    def _show_configuration(self, *_: Any) -> None:
        """Show what the next run has by its configuration, and by the core as it is."""
        try:
            settings = SettingsPart.of(load(self._config_path()))
        except RtsmlmError:  # a name that is being typed; Start says what is wrong
            return
        shape, exposure_ms = None, math.nan
        try:
            if self._core.getCameraDevice():
                shape = self._core.getImageHeight(), self._core.getImageWidth()
                exposure_ms = float(self._core.getExposure())
        except Exception as error:  # vendor code
            _log.info("the camera does not state its image: %s", error)
        self.live.show_settings(settings, shape, exposure_ms)

    def _choose(self) -> None:
        dialog = QtWidgets.QFileDialog(self, "Run configuration", "", "TOML (*.toml)")
        dialog.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)
        dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.config.setText)
        dialog.open()

    def _attach(self, settings: Sequence[str]) -> Session:
        config = self._config_path()
        # Any free port, so that two programs do not collide; a configuration file may name one.
        address = () if config else (_ANY_PORT,)
        return attach(self._core, config, (*address, *settings, *self.overrides))

    def follow_session(self) -> None:
        """Go on with the session: show its stream once it publishes, and its messages."""
        was = self.session.state
        self.session.update()
        address = self.session.address if self.session.state == "running" else None
        if address is not None and address != self._watched:
            self._watched = address
            source = StreamSource(address, only_run_id=self.session.run_id)
            self.live.follow(source, self.session.folder)
        if self.session.state == "idle":
            self._watched = None
        busy = None if self.session.state == "idle" else "a run goes on"
        allow([self.config, self.browse], busy)
        notices = self.session.take_notices()
        for notice in notices:
            self.live.show_notice(notice)
        if self.session.state != was and not notices:
            self.live.report(self.session.state)

    def shut_down(self, *_: Any) -> None:
        """End the session in order, and release everything. Safe to call more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(RuntimeError):  # the host may have deleted what is shown
            self._timer.stop()
        self.session.close()
        self.live.shut_down()

    def changeEvent(self, event: QtCore.QEvent) -> None:
        """End with a dock that is closed for good: hosts take the widget out of it, and hide it."""
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.ParentChange and self.parent() is None:
            QtCore.QTimer.singleShot(0, self._end_if_gone)

    def _end_if_gone(self) -> None:
        if self.parent() is None and not self.isVisible():
            self.shut_down()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """End the session in order; while its lasers are armed, the user is asked first."""
        if not self._is_closed and not self.live.closing.allows(has_control=True):
            event.ignore()
            return
        self.shut_down()
        super().closeEvent(event)
