"""The widget that other programs embed: a session on their core, ended in order."""

from __future__ import annotations

import importlib
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def host_core() -> Iterator[Any]:
    """The core of a host program: the simulated microscope."""
    from pymmcore_plus.experimental.unicore import UniMMCore

    from rtsmlm.settings.load import packaged

    core = UniMMCore()
    core.loadSystemConfiguration(str(packaged("sim_microscope.cfg")))
    core.setProperty("Camera", "Width", 64)
    core.setProperty("Camera", "Height", 64)
    core.setExposure(5)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


def until(app: Any, holds: Callable[[], bool], limit_s: float = 90.0) -> None:
    end_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come about in time"
        app.processEvents()
        time.sleep(0.01)


@pytest.mark.slow
def test_a_session_on_the_core_of_a_host_shows_its_rows_and_ends_with_the_widget(
    app: Any, host_core: Any, tmp_path: Path
) -> None:
    from rtsmlm.viewer.widget import RtsmlmWidget

    widget = RtsmlmWidget(mmcore=host_core, settings_file=tmp_path / "w.ini")
    widget.overrides = (
        f"results.out={tmp_path.as_posix()}", "results.name=run", "psf.sigma_nm=130",
        "localizer.name=gaussian-mle",
    )  # fmt: skip
    widget.resize(1280, 800)
    widget.show()
    until(
        app, lambda: widget.live.header.start.isEnabled() and widget.live.refresher.reader.polls > 2
    )
    try:
        widget.live.header.start.click()
        until(app, lambda: widget.session.state == "running")
        until(app, lambda: (p := widget.live.super_res.drawing.picture.pyramid) is not None
              and p.n_inside > 100)  # fmt: skip
        session = widget.session.session
        assert not widget.config.isEnabled()
    finally:
        widget.close()
    app.processEvents()

    assert widget.session.state == "idle"
    assert session is not None
    assert session.report.ok, session.report.failures
    assert not host_core.isSequenceRunning()
    assert (tmp_path / "run" / "localizations.arrows").stat().st_size > 0
    widget.deleteLater()


def test_what_goes_wrong_at_the_start_is_shown(app: Any, tmp_path: Path) -> None:
    from rtsmlm.errors import ConfigError
    from rtsmlm.viewer.commands import Start, Stop
    from rtsmlm.viewer.embedded_session import EmbeddedSession

    def fail(_settings: Any) -> Any:
        raise ConfigError("there is no camera")

    embedded = EmbeddedSession(fail)
    embedded.ask(Stop())
    [refused] = embedded.take_notices()
    assert refused.text == "stop: there is no run now; start one first"
    embedded.ask(Start())
    until(app, lambda: embedded.update() or embedded.state == "idle")
    embedded.close()

    [failed] = embedded.take_notices()
    assert (failed.text, failed.level) == ("there is no camera", "error")


def test_the_manifest_names_a_widget_that_is_there(app: Any) -> None:
    manifest = yaml.safe_load(files("rtsmlm.viewer").joinpath("napari.yaml").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry = project["entry-points"]["napari.manifest"]["rtsmlm"]
    commands = {c["id"]: c["python_name"] for c in manifest["contributions"]["commands"]}
    widget = manifest["contributions"]["widgets"][0]

    module, name = commands[widget["command"]].split(":")

    assert callable(getattr(importlib.import_module(module), name))
    assert entry == "rtsmlm.viewer:napari.yaml"
    assert manifest["name"] == project["name"]


def test_importing_the_data_side_loads_no_toolkit() -> None:
    import subprocess
    import sys

    code = (
        "import sys, rtsmlm.cli, rtsmlm.viewer.sources.updates, rtsmlm.cli.view; "
        "print(sorted({'PySide6', 'PyQt6', 'qtpy', 'pyqtgraph'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
