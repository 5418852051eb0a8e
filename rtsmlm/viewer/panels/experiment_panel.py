"""Experiment panel: sample, operator and notes of the next run."""

from __future__ import annotations

import json

from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import allow, explained, label, panel_layout
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_MOST_LETTERS = 200
_NOTES_LINES = 2.0


class ExperimentPanel(Panel, QtWidgets.QFrame):
    """What no device knows of a run; it takes effect with the next start.

    Parameters
    ----------
    preferences
        Where the operator is remembered.
    """

    section = "experiment"

    def __init__(self, preferences: Preferences, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._touched: set[str] = set()
        self._configured = SettingsPart().experiment
        self.sample, self.operator = QtWidgets.QLineEdit(), QtWidgets.QLineEdit()
        self.notes = QtWidgets.QPlainTextEdit()
        explained(
            self.sample, "Name of the sample of the next run (no unit): in its files, its report "
            "and the name of its folder.",
        )  # fmt: skip
        explained(self.operator, "Who does the experiment (no unit); remembered.")
        explained(self.notes, "Notes on the next run (no unit): buffer, label, passage.")
        self.notes.setTabChangesFocus(True)
        self.notes.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for field in (self.sample, self.operator):
            field.setMaxLength(_MOST_LETTERS)
        self._fields: dict[str, QtWidgets.QLineEdit | QtWidgets.QPlainTextEdit] = {
            "sample": self.sample, "operator": self.operator, "notes": self.notes,
        }  # fmt: skip
        self._lay_out()
        self._show_all()
        self.sample.textEdited.connect(lambda: self._touched.add("sample"))
        self.operator.textEdited.connect(lambda: self._touched.add("operator"))
        self.operator.editingFinished.connect(self._remember)
        self.notes.textChanged.connect(lambda: self._touched.add("notes"))

    def _lay_out(self) -> None:
        layout = panel_layout(self)
        head = QtWidgets.QHBoxLayout()
        head.addWidget(label("Experiment", "title"))
        head.addStretch(1)
        head.addWidget(HelpMark(self.section))
        layout.addLayout(head)
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        for row, (name, field) in enumerate(self._fields.items()):
            grid.addWidget(label(name, "dim"), row, 0)
            grid.addWidget(field, row, 1)
        layout.addLayout(grid)

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the fields, or show why they cannot be used."""
        allow(self._fields.values(), why_not)

    def set_theme(self, _theme: object) -> None:
        """Keep the notes two lines high, whatever the size of text."""
        self.notes.setFixedHeight(round(_NOTES_LINES * self.sample.fontMetrics().lineSpacing()))

    def show_update(self, update: RunUpdate) -> None:
        """Show what another run was started with, where nothing else was typed."""
        if update.begins and update.run is not None:
            self.show_settings(update.run.settings)

    def show_settings(self, settings: SettingsPart) -> None:
        """Show what the next run has by its configuration, where nothing else was typed."""
        self._configured = settings.experiment
        self._show_all()

    def _show_all(self) -> None:
        shown = self._configured.model_dump()
        is_named = self._configured.has_operator  # by the configuration of a run that is watched
        self.operator.setPlaceholderText("as configured" if is_named else "")
        if not shown["operator"] and not is_named:
            shown["operator"] = self._preferences.get("operator")
        for name, field in self._fields.items():
            if name in self._touched or field.hasFocus():
                continue
            was = field.blockSignals(True)
            if isinstance(field, QtWidgets.QPlainTextEdit):
                field.setPlainText(shown[name])
            else:
                field.setText(shown[name])
            field.blockSignals(was)

    def _remember(self) -> None:
        if "operator" in self._touched:
            self._preferences.set("operator", self.operator.text().strip())

    def texts(self) -> dict[str, str]:
        """Return what the fields show, by the name of the setting."""
        return {
            "sample": self.sample.text(),
            "operator": self.operator.text(),
            "notes": self.notes.toPlainText(),
        }

    def overrides(self) -> list[str]:
        """Return what was typed for the next run, as `section.key=value` texts.

        An operator that is remembered counts as typed where the configuration names none.
        """
        self._remember()
        typed = set(self._touched)
        configured = self._configured.operator or self._configured.has_operator
        if self.operator.text() and not configured:
            typed.add("operator")
        texts = self.texts()
        return [f"experiment.{name}={_toml(texts[name])}" for name in texts if name in typed]


def _toml(text: str) -> str:
    """Return a text as TOML writes it, in one line."""
    sound = text.encode("utf-8", "replace").decode()
    return json.dumps(sound).replace("\x7f", "\\u007f")
