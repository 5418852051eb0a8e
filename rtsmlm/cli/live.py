"""`rtsmlm live`: record, localize and publish, with one status line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtsmlm.cli.console import console
from rtsmlm.cli.options import Exports, Overrides
from rtsmlm.cli.run_loop import LiveRunner
from rtsmlm.cli.signals import stop_on_signal
from rtsmlm.cli.window import why_no_window
from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.settings.base import LONGEST_S
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings


def live(
    config: Annotated[
        Path | None,
        typer.Argument(help="Run configuration (TOML); none takes the packaged demo."),
    ] = None,
    further: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", help="Run configuration (TOML). May be repeated: later files win."
        ),
    ] = None,
    headless: Annotated[bool, typer.Option(help="Never open a window.")] = False,
    arm: Annotated[
        bool,
        typer.Option(
            "--arm", help="Let the loop steer the laser; feedback.arm must be set as well."
        ),
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of this run.")] = None,
    export: Exports = None,
    set_: Overrides = None,
) -> None:
    """Localize while the microscope records.

    Without CONFIG a simulated microscope is used, so that everything can be tried at once.
    """
    check_seconds(seconds)
    files = [*([config] if config else []), *(further or [])]
    settings = load(files or Path("demo.toml"), overrides(set_, frames, seconds, export))
    run_live(settings, arm=arm, headless=headless, out=out)


def run_live(settings: RunSettings, *, arm: bool, headless: bool, out: Path | None) -> None:
    """Run, and again as the window asks, until it is done; then exit with the code that says how.

    Parameters
    ----------
    settings
        Of the first run.
    arm
        Send commands to the lasers.
    headless
        Never open a window.
    out
        Folder of the first run; None takes that of the settings.
    """
    no_window = "--headless" if headless else why_no_window()
    if no_window is not None and not headless:
        console.print(f"[dim]no window: {no_window}[/]")
    with stop_on_signal() as request:
        runner = LiveRunner(settings, arm=arm, request=request, with_window=no_window is None)
        try:
            report = _run(runner, settings, out)
            while (settings_of_next := runner.next_run()) is not None:
                report = _run(runner, settings_of_next, None)
        finally:
            runner.close()
    if not report.ok:
        raise typer.Exit(1)
    if request.signal is not None and _has_target(settings):
        raise typer.Exit(request.exit_code)


def check_seconds(seconds: float | None) -> None:
    """Check the length of a run as it was given on the command line.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if seconds is not None and not 0 < seconds <= LONGEST_S:
        raise ConfigError(
            f"--seconds {seconds:g} is no length of a run; give a number above 0 and at most "
            f"{LONGEST_S:.0f} (30 days), or leave it out and stop the run with Ctrl-C"
        )


def _run(runner: LiveRunner, settings: RunSettings, out: Path | None) -> RunReport:
    """Run once in a folder of its own, which is given back whatever happens."""
    folder = run_folder(settings, out)
    try:
        return runner.run(settings, folder)
    finally:
        folder.release()


def overrides(
    set_: list[str] | None, frames: int | None, seconds: float | None, export: str | None
) -> list[str]:
    """Return the options of the command line as `section.key=value` texts."""
    texts = list(set_ or [])
    if frames is not None:
        texts.append(f"acquisition.frames={frames}")
    if seconds is not None:
        texts.append(f"acquisition.seconds={seconds}")
        if frames is None:
            texts.append("acquisition.frames=none")
    if export is not None:
        names = ", ".join(f'"{name.strip()}"' for name in export.split(",") if name.strip())
        texts.append(f"results.export=[{names}]")
    return texts


def run_folder(settings: RunSettings, out: Path | None) -> RunFolder:
    """Return the folder of the run: the one named by --out, or a new one under results.out."""
    if out is not None:
        return RunFolder.create(out.parent, out.name)
    return RunFolder.create_for(settings)


def _has_target(settings: RunSettings) -> bool:
    return settings.acquisition.frames is not None or settings.acquisition.seconds is not None
