"""Output never blocks the program, though nobody reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PRINTS = """
import sys
from rtsmlm.cli.console import console
for k in range(int(sys.argv[1])):
    console.print(f"line {k} " + "x" * 100)
open(sys.argv[2], "w").write("through")
"""
WAIT_S = 60.0


def _program(n_lines: int, done: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PRINTS, str(n_lines), str(done)], stdout=subprocess.PIPE
    )


def test_a_reader_gets_every_line_in_its_order(tmp_path: Path) -> None:
    program = _program(500, tmp_path / "done")

    out, _ = program.communicate(timeout=WAIT_S)

    assert [line.split()[1] for line in out.decode().splitlines()] == [str(k) for k in range(500)]
    assert program.returncode == 0


def test_output_that_is_not_read_holds_up_nothing_and_the_program_ends(tmp_path: Path) -> None:
    # Far more than the 64 kB that a pipe holds.
    program = _program(5000, tmp_path / "done")

    assert program.wait(WAIT_S) == 0  # nothing was read from it until here

    assert (tmp_path / "done").read_text() == "through"
    assert program.stdout is not None
    program.stdout.close()


def test_a_pipe_whose_reader_has_gone_is_no_error(tmp_path: Path) -> None:
    program = _program(5000, tmp_path / "done")
    assert program.stdout is not None
    program.stdout.close()

    assert program.wait(WAIT_S) == 0
    assert (tmp_path / "done").read_text() == "through"


@pytest.mark.parametrize("n_lines", [1, 50])
def test_output_into_a_file_is_complete(tmp_path: Path, n_lines: int) -> None:
    with (tmp_path / "out.txt").open("wb") as out:
        subprocess.run(
            [sys.executable, "-P", "-c", PRINTS, str(n_lines), str(tmp_path / "done")],
            stdout=out,
            check=True,
            timeout=WAIT_S,
        )

    assert len((tmp_path / "out.txt").read_text().splitlines()) == n_lines
