"""pytest fixtures for the tests of a lab: its own rig, and a simulated one.

::

    def test_it_goes_dark_when_the_analysis_dies(rtsmlm_rig):
        result = rtsmlm_rig.check("analysis-killed")
        assert result.passed, result.what

Run with ``pytest --rtsmlm-config rig.toml --rtsmlm-arm``. Every pytest run with rtsmlm installed
loads this file: nothing heavy is imported until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtsmlm.hil.result import DrillResult
    from rtsmlm.hil.rig import HilRig


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that name a rig and let it shine."""
    group = parser.getgroup("rtsmlm", "real-time single-molecule localization microscopy")
    group.addoption(
        "--rtsmlm-config", metavar="TOML", help="configuration of the rig that rtsmlm_rig opens"
    )
    group.addoption(
        "--rtsmlm-arm", action="store_true", help="let the lasers of that rig shine in drills"
    )


class Rig:
    """A rig in tests.

    Parameters
    ----------
    hil
        What the drills run on: its camera, its lasers, its settings.
    """

    def __init__(self, hil: HilRig) -> None:
        self.hil = hil

    def check(self, name: str) -> DrillResult:
        """Run a check or drill and return what it found; skips the test where it cannot be run.

        Raises
        ------
        ConfigError
            If there is none of this name.
        """
        from rtsmlm.hil.drills import named, run_drill

        (drill,) = named([name])
        result = run_drill(drill, self.hil)
        if result.passed is None:
            pytest.skip(f"{name}: {result.what}")
        return result


@pytest.fixture(scope="session")
def rtsmlm_rig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """Return the rig of --rtsmlm-config, opened once for all tests."""
    config = request.config.getoption("--rtsmlm-config")
    if config is None:
        pytest.skip("needs a rig: name its configuration by --rtsmlm-config rig.toml")
    armed = bool(request.config.getoption("--rtsmlm-arm"))
    yield from _open(config, tmp_path_factory.mktemp("rtsmlm"), armed)


@pytest.fixture
def rtsmlm_sim(tmp_path: Path) -> Iterator[Rig]:
    """Return a simulated rig, armed: `hil.microscope` knows the truth, `hil.settings` all else."""
    yield from _open("hil_sim.toml", tmp_path / "rtsmlm", True)


def _open(config: str, folder: Path, armed: bool) -> Iterator[Rig]:
    from rtsmlm.hil.rig import HilRig
    from rtsmlm.settings.load import load

    hil = HilRig(load(Path(config)), folder, arm=armed)
    try:
        yield Rig(hil)
    finally:
        hil.close()
