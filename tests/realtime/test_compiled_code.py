"""Compiled code is kept where it can be written, for one version, and an import never fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsmlm.realtime import compiled_code
from rtsmlm.realtime.compiled_code import keep_compiled_code

SOURCE = """
from numba import njit

@njit(cache=True)
def twice(value):
    return 2 * value
"""
RUN = """
import sys
from pathlib import Path
from rtsmlm.realtime.compiled_code import keep_compiled_code

package, version = Path(sys.argv[1]), sys.argv[2]
keep_compiled_code(package, version)
sys.path.insert(0, str(package))
import lab
assert lab.twice(21) == 42
print(sum(lab.twice.stats.cache_hits.values()), lab.twice.stats.cache_path)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return the folder of a package beside whose source nothing can be written.

    A file lies where the folder of the compiled code would be: that refuses an administrator, too.
    """
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "lab.py").write_text(SOURCE, encoding="utf-8")
    (folder / "__pycache__").write_bytes(b"")
    return folder


def run(package: Path, version: str, **environment: str) -> tuple[int, Path]:
    """Import the package in an interpreter of its own; return hits and folder of its cache."""
    own = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "RTSMLM_CACHE")}
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-c", RUN, str(package), version],
        capture_output=True,
        text=True,
        check=True,
        env=own | environment,
    )
    hits, _, folder = done.stdout.strip().partition(" ")
    return int(hits), Path(folder)


def test_what_a_read_only_installation_compiles_is_found_again_by_its_version_alone(
    package: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    first, folder = run(package, "1.0", RTSMLM_CACHE=str(cache))
    again, same = run(package, "1.0", RTSMLM_CACHE=str(cache))
    other, elsewhere = run(package, "1.1", RTSMLM_CACHE=str(cache))

    assert (first, again, other) == (0, 1, 0)
    assert folder == same
    assert folder.is_relative_to(cache / "compiled" / "1.0")
    assert elsewhere.is_relative_to(cache / "compiled" / "1.1")


def test_where_nothing_can_be_written_code_is_compiled_for_this_process_alone(
    package: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_bytes(b"")  # no folder

    hits, folder = run(package, "1.0", RTSMLM_CACHE=str(tmp_path / "cache"))

    assert hits == 0
    assert not folder.exists()


def test_a_folder_that_the_user_names_and_one_that_can_be_written_stay_as_they_are(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert keep_compiled_code(package, "1.0") is None
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"

    monkeypatch.delenv("NUMBA_CACHE_DIR")
    writable = tmp_path / "writable"
    assert keep_compiled_code(writable, "1.0") is None
    assert "NUMBA_CACHE_DIR" not in os.environ
    assert list((writable / "__pycache__").iterdir()) == [], "the probe is gone"


def test_a_host_that_has_loaded_numba_keeps_our_code_in_that_folder_too(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numba

    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setenv(compiled_code.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")

    folder = keep_compiled_code(package, "1.0")

    assert folder == tmp_path / "cache" / "compiled" / "1.0"
    assert str(folder) == numba.config.CACHE_DIR
