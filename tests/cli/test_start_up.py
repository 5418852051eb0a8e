"""The command line is there at once: a command's modules are imported when it is run."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain

import pytest
import typer.main
from typer.testing import CliRunner

from rtsmlm import cli
from rtsmlm.cli import bench, calibrate

HEAVY = {"numba", "numpy", "scipy", "openvino", "pymmcore", "pymmcore_plus", "qtpy", "PySide6"}
GROUPS = {"": cli.COMMANDS, "bench ": bench.COMMANDS, "calibrate ": calibrate.COMMANDS}


def lines() -> Iterator[str]:
    for group, commands in GROUPS.items():
        yield from (group + name for name in commands)
    yield from ("engine build", "engine list", "engine clear")


def heavy_modules_of(*arguments: str) -> set[str]:
    """Run the command line in a process of its own; return what it has imported of `HEAVY`."""
    code = (
        "import atexit, json, sys; from rtsmlm.cli import main; "
        f"atexit.register(lambda: print(json.dumps(sorted({HEAVY} & set(sys.modules))))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_asking_for_the_version_or_the_commands_imports_nothing_heavy(option: str) -> None:
    assert heavy_modules_of(option) == set()


def test_a_run_and_its_window_load_no_statistics() -> None:
    unused = {"scipy.optimize", "scipy.signal", "scipy.stats", "torch", "openvino"}
    code = (
        "import sys, rtsmlm.session.session, rtsmlm.viewer.app; "
        f"print(sorted({unused} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("target", "sentence"), [*chain.from_iterable(group.values() for group in GROUPS.values())]
)
def test_a_command_is_listed_with_the_first_sentence_of_its_own_help(
    target: str, sentence: str
) -> None:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)

    text = typer.main.get_command(found).help if isinstance(found, typer.Typer) else found.__doc__

    assert (text or "").split("\n\n")[0] == sentence


@pytest.mark.parametrize("line", [*lines()])
def test_every_command_explains_itself(line: str) -> None:
    done = CliRunner().invoke(cli.app, [*line.split(), "--help"])

    assert done.exit_code == 0, done.output
    assert f"Usage: rtsmlm {line} " in done.output


def test_a_mistyped_command_is_answered_with_the_nearest_one() -> None:
    done = CliRunner().invoke(cli.app, ["reconstuct"])

    assert done.exit_code == 2
    assert "Did you mean 'reconstruct'?" in done.output
