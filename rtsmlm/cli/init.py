"""`rtsmlm init`: at most ten questions about a connected core, and what they make."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rtsmlm.cli.console import console, inform, warn
from rtsmlm.cli.options import Overrides
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.settings.load import from_mapping, load_over

SIMULATED = "sim_microscope.cfg"


def init(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Micro-Manager configuration (.cfg); none takes the simulated microscope."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The configuration to write.")] = Path("my_rig.toml"),
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the default of every question.")
    ] = False,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="Answer a question beforehand: name=value. May be repeated."),
    ] = None,
    emu: Annotated[
        Path | None,
        typer.Option(help="EMU configuration (.uicfg), whose lasers are added as comments."),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Ask at most ten questions about a microscope, and write the settings that `live` takes.

    Loads the Micro-Manager configuration, which does what that file says; beyond it no property is
    set, no shutter opened, and no laser lit.
    """
    from rtsmlm.cli.init_interview import Interview
    from rtsmlm.cli.init_toml import configuration_of
    from rtsmlm.drivers.micromanager.core import load_core, release_core
    from rtsmlm.microscopes.emu import emu_sections, read_emu

    if out.exists():
        raise ConfigError(f"{out} is there already; give another name (--out), or move it away")
    data = {"micromanager": {"config": _path_of(config)}}
    settings = load_over(from_mapping(data, str(config or SIMULATED)), set_ or ())
    core = load_core(settings.micromanager)
    try:
        interview = Interview(core, settings, _answers(answer or []), ask=None if yes else _prompt)
        found = interview.run()
        labels = [str(label) for label in core.getLoadedDevices()]
    finally:
        release_core(core)
    for note in found.notes:
        warn(note)
    sections = emu_sections(read_emu(emu, labels)) if emu is not None else {}
    text = configuration_of(settings.micromanager, found, sections, str(emu or ""))
    from_mapping(tomllib.loads(text), str(out))  # what is written is what `live` takes
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {out}: {error.strerror or error}") from error
    console.print(f"written  {escape(str(out))}")
    inform(f"run it: rtsmlm live {out}")
    if found.steered is not None:
        inform(
            f"the laser is only watched until {out} says feedback.arm = true and live is given "
            f"--arm; rehearse that first: rtsmlm hil {out}"
        )
    if "[lasers.readout]" in text:
        inform(
            "before you arm, set lasers.readout.start_power to what you excite with: at 0 no "
            "emitter shines, and the loop raises the activation laser to its cap"
        )


def _path_of(config: Path | None) -> str:
    """Return the configuration as the settings name it, so that it is found from everywhere."""
    if config is None:
        return SIMULATED
    return config.resolve().as_posix() if config.exists() else str(config)


def _answers(texts: list[str]) -> dict[str, str]:
    answers = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--answer {text!r} is not name=value, like pixel_nm=108")
        answers[name.strip()] = value.strip()
    return answers


def _prompt(number: int, text: str, default: str, problem: str) -> str:
    """Ask a person, at a terminal.

    Raises
    ------
    ConfigError
        If there is none to ask.
    """
    if problem:
        warn(problem)
    try:
        return str(typer.prompt(f"{number:2}. {text}", default=default))
    except typer.Abort as error:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        raise ConfigError(
            "the questions need a terminal; take the defaults with --yes, and answer single ones "
            "with --answer name=value"
        ) from error
