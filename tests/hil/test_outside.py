"""Lasers seen from outside: by their light where it can be seen, else by the audit."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rtsmlm.drivers.simulated.head_file import HeadFile
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.laser_log import LaserLog
from rtsmlm.hil.outside import Moment, OutsideView
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.traits import LaserTraits


def view(folder: Path, **light_files: Path | None) -> OutsideView:
    """Return a view on lasers with a state file, or with None where only the audit tells."""
    rig = SimpleNamespace(
        settings=SimpleNamespace(lasers=dict.fromkeys(light_files)),
        known_traits=lambda name: LaserTraits(light_file=light_files[name]),
        pause=time.sleep,
    )
    return OutsideView(cast("HilRig", rig), RunFolder(folder))


def note(folder: Path, **row: Any) -> None:
    log = LaserLog(RunFolder(folder).lasers)
    log.write(row)
    log.close()


def test_a_laser_whose_light_cannot_be_seen_is_judged_by_the_audit(tmp_path: Path) -> None:
    with view(tmp_path, uv=None) as light:
        assert not light.is_lit
        note(tmp_path, actuator="uv", kind="command", sent=5.0, reason="as planned")
        assert light.is_lit
        moment = Moment()
        assert light.wait_dark(moment, 0.05) == math.inf
        note(tmp_path, actuator="other", kind="trip", sent=0.0, reason="another laser")
        assert light.dark_after_s(moment) == math.inf

        note(tmp_path, actuator="uv", kind="trip", sent=0.0, reason="dark by the sentinel")

        assert 0 <= light.wait_dark(moment, 5.0) < 5.0
        assert light.wait_for_row("uv", moment, "sentinel", 0.0) == "dark by the sentinel"
        assert light.wait_for_row("uv", moment, "Ctrl-Z", 0.0) == ""


def test_what_the_audit_told_before_a_moment_does_not_explain_it(tmp_path: Path) -> None:
    note(tmp_path, actuator="uv", kind="trip", sent=0.0, reason="an earlier one")
    time.sleep(0.02)

    with view(tmp_path, uv=None) as light:
        assert light.wait_for_row("uv", Moment(), "", 0.0) == ""
        assert light.dark_after_s(Moment()) == math.inf


def test_all_lasers_count_and_the_last_one_decides(tmp_path: Path) -> None:
    heads = {name: HeadFile(tmp_path / f"{name}.json", 1.0) for name in ("uv", "red")}
    for head in heads.values():
        head.put_on(True)
    with view(tmp_path, uv=heads["uv"].path, red=heads["red"].path) as light:
        moment = Moment()
        heads["uv"].put_on(False)
        assert light.wait_dark(moment, 0.2) == math.inf
        assert not light.all_dark
        heads["red"].put_on(False)

        assert light.wait_dark(moment, 5.0) == pytest.approx(0.2, abs=2.0)
        assert light.all_dark
