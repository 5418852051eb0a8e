"""Whole programs with two lasers on: whatever happens to them, no light stays and no data are lost.

The light is that of simulated heads which shine on when the program is gone, and is watched from
outside. Times are bounded generously here; what is measured stands in docs/safety.md.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rtsmlm.drivers.simulated.file_laser import light_mw
from rtsmlm.drivers.simulated.head_faults import HeadFaults, write_faults
from rtsmlm.drivers.simulated.head_file import HeadFile
from rtsmlm.files.movies.open import open_movie
from rtsmlm.hil.host_program import FORKED
from rtsmlm.hil.outside import Moment
from rtsmlm.hil.programs import Program, end_process, host_program, live_program
from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.simulated_heads import config_text, with_one_owner
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

DARK_S = 10.0
"""More than a busy machine needs; a light that stays does so for ever."""
END_S = 180.0
RIG = (
    "micromanager.properties.Camera.Width=64",
    "micromanager.properties.Camera.Height=64",
    "lasers.activation.start_power=5",
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to find a child")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HilRig]:
    """The simulated rig: 405 nm steered, at most 60 mW, and 640 nm at 84 mW."""
    opened = HilRig(load(Path("hil_sim.toml"), RIG), tmp_path_factory.mktemp("rig"), arm=True)
    opened.traits_of(opened.steered)
    yield opened
    opened.close()


@pytest.fixture
def at_full_power(rig: HilRig) -> Callable[[RunSettings, Path], RunSettings]:
    """Return what gives the lasers their own powers in place of those of drills."""
    own = {"lasers": rig.settings.lasers, "pipeline": rig.settings.pipeline}

    def edit(settings: RunSettings, config: Path) -> RunSettings:
        return settings.model_copy(update=own)

    return edit


@pytest.fixture
def live(rig: HilRig, at_full_power: Callable[..., RunSettings]) -> Iterator[Program]:
    with live_program(rig, "live", edit=at_full_power) as program:
        yield program
    assert program.light.still_on() == ""


@pytest.fixture
def host(rig: HilRig, at_full_power: Callable[..., RunSettings]) -> Iterator[Program]:
    with host_program(rig, "host", edit=at_full_power) as program:
        yield program
    assert program.light.still_on() == ""


def state_file(program: Program, name: str) -> Path:
    path = program.rig.known_traits(name).light_file
    assert path is not None
    return path


def assert_dark(program: Program, since: Moment, reason: str) -> None:
    """Both lasers go dark and stay so, and the audit of each tells why."""
    assert program.light.wait_dark(since, DARK_S) < DARK_S, "light stayed on"
    for name in program.rig.settings.lasers:
        assert program.light.wait_for_row(name, since, reason, 5.0), program.light.rows(name)[-3:]


def assert_recorded(program: Program) -> None:
    with open_movie(program.folder.path, program.rig.settings.movie) as movie:
        assert movie.n_frames > 0
        movie.read([0, movie.n_frames - 1])


def assert_goes_on_dark_and_ends(program: Program) -> None:
    program.send(signal.SIGCONT)
    program.rig.pause(1.0)
    assert program.light.all_dark, "light came on again"
    program.send(signal.SIGTERM)
    assert program.wait_end(END_S) is not None
    assert program.light.all_dark
    assert_recorded(program)


def children_of(pid: int) -> dict[int, str]:
    """Return the processes that a process has started, with their command lines; on Linux alone."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        with suppress(OSError):  # it has just ended
            line = Path(f"/proc/{child}/cmdline").read_bytes()
            found[int(child)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


# -- rtsmlm live -------------------------------------------------------------------------------


@posix
def test_a_stopped_program_is_dark_and_finds_its_lasers_latched_when_it_goes_on(
    live: Program,
) -> None:
    moment = Moment()
    live.send(signal.SIGSTOP)

    assert_dark(live, moment, "no beat of the program")
    assert_goes_on_dark_and_ends(live)
    assert any("this program" in row["reason"] for row in live.light.rows("activation"))


@posix
def test_ctrl_z_turns_dark_before_the_program_stops(live: Program) -> None:
    moment = Moment()
    live.send(signal.SIGTSTP)

    assert_dark(live, moment, "Ctrl-Z")
    assert_goes_on_dark_and_ends(live)


@posix
def test_a_program_whose_terminal_is_frozen_is_still_ended_by_a_signal(
    rig: HilRig, at_full_power: Callable[..., RunSettings]
) -> None:
    with live_program(rig, "frozen", edit=at_full_power, in_terminal=True) as program:
        assert program.terminal is not None
        program.terminal.freeze()
        rig.pause(1.0)
        assert not program.light.all_dark, "a frozen terminal alone is no reason to go dark"
        moment = Moment()
        program.send(signal.SIGTERM)

        assert_dark(program, moment, "asked to end")
        assert program.wait_end(END_S) == 0
        assert_recorded(program)


@posix
def test_a_silent_program_that_holds_the_ports_of_its_lasers_is_ended(
    rig: HilRig, at_full_power: Callable[..., RunSettings]
) -> None:
    def edit(settings: RunSettings, config: Path) -> RunSettings:
        path = config.with_suffix(".cfg").resolve()
        text = with_one_owner(config_text(settings), ["Laser405", "Laser640"])
        path.write_text(text, encoding="utf-8")
        micromanager = settings.micromanager.model_copy(update={"config": str(path)})
        return at_full_power(settings, config).model_copy(update={"micromanager": micromanager})

    with live_program(rig, "held", edit=edit) as program:
        moment = Moment()
        program.send(signal.SIGSTOP)

        assert_dark(program, moment, "which was ended")
        assert program.wait_end(END_S) == -signal.SIGKILL
        assert_recorded(program)


def test_a_program_is_killed_after_its_configuration_was_moved_and_no_light_stays(
    rig: HilRig, at_full_power: Callable[..., RunSettings]
) -> None:
    def edit(settings: RunSettings, config: Path) -> RunSettings:
        path = config.with_suffix(".cfg").resolve()
        path.write_text(config_text(settings), encoding="utf-8")
        micromanager = settings.micromanager.model_copy(update={"config": str(path)})
        return at_full_power(settings, config).model_copy(update={"micromanager": micromanager})

    with live_program(rig, "moved", edit=edit) as program:
        program.config.with_suffix(".cfg").rename(program.config.with_suffix(".moved"))
        moment = Moment()
        program.process.kill()

        assert_dark(program, moment, "dark by the sentinel")
        assert program.wait_end(END_S) is not None
        assert_recorded(program)


@linux
def test_when_the_sentinel_dies_the_program_turns_its_lasers_dark_and_goes_on(
    live: Program,
) -> None:
    [sentinel] = [pid for pid, line in children_of(live.process.pid).items() if "sentinel" in line]
    moment = Moment()
    end_process(sentinel)

    assert_dark(live, moment, "sentinel has died")
    assert live.process.poll() is None
    live.send(signal.SIGTERM)
    assert live.wait_end(END_S) is not None
    assert_recorded(live)


@linux
def test_while_the_analysis_is_frozen_no_laser_shines_on_unseen(live: Program) -> None:
    [analysis] = [pid for pid, line in children_of(live.process.pid).items() if "pipeline" in line]
    moment = Moment()
    os.kill(analysis, signal.SIGSTOP)

    assert_dark(live, moment, "nothing was seen for")
    assert live.process.poll() is None
    live.send(signal.SIGTERM)
    assert live.wait_end(END_S) is not None
    assert_recorded(live)


def test_light_that_the_program_did_not_command_is_switched_off_again(live: Program) -> None:
    head = HeadFile(state_file(live, "readout"), 1.0)
    moment = Moment()
    head.put_power(100.0)
    assert live.light.wait_for_row("readout", moment, "", DARK_S)
    live.rig.pause(0.5)
    assert light_mw(head.path) == 0.0

    head.put_on(True)

    live.rig.pause(0.1)
    for _ in range(1000):
        if light_mw(head.path) == 0.0:
            break
        live.rig.pause(0.01)
    assert light_mw(head.path) == 0.0
    live.press_ctrl_c()
    assert live.wait_end(END_S) is not None
    assert_recorded(live)


# -- lasers that do not obey -------------------------------------------------------------------


def test_a_port_that_hangs_delays_no_other_laser(live: Program) -> None:
    stuck, other = state_file(live, "activation"), state_file(live, "readout")
    write_faults(stuck, HeadFaults(hang="any", hang_s=60.0))
    moment = Moment()
    live.press_ctrl_c()

    assert live.light.wait_for_row("readout", moment, "", DARK_S)
    for _ in range(1000):
        if light_mw(other) == 0.0:
            break
        live.rig.pause(0.01)
    assert light_mw(other) == 0.0
    assert light_mw(stuck) > 0.0
    write_faults(stuck)
    assert live.light.wait_dark(moment, 60.0) < 60.0
    assert live.wait_end(END_S) is not None
    assert_recorded(live)


def test_a_laser_that_ignores_off_is_named_until_it_is_seen_dark(live: Program) -> None:
    stuck = state_file(live, "readout")  # the loop itself may have switched the other one off
    assert light_mw(stuck) > 0.0
    write_faults(stuck, HeadFaults(ignore_off=True))
    try:
        moment = Moment()
        live.press_ctrl_c()

        assert live.wait_end(END_S) not in (0, 130), "a light that may be on is no success"
        said = live.config.with_suffix(".log").read_text(encoding="utf-8")
        assert "not confirmed dark" in " ".join(said.split())
        assert light_mw(state_file(live, "activation")) == 0.0
        assert light_mw(stuck) > 0.0
    finally:
        write_faults(stuck)
    assert live.light.wait_dark(moment, 60.0) < 60.0, "the sentinel insists"
    assert_recorded(live)


# -- a program that uses rtsmlm ----------------------------------------------------------------


@pytest.mark.parametrize("ending", ["exception", "last-line", "ctrl-c"])
def test_a_host_that_ends_without_closing_its_run_leaves_no_light(
    host: Program, ending: str
) -> None:
    moment = Moment()
    host.press_ctrl_c() if ending == "ctrl-c" else host.order(ending)

    assert_dark(host, moment, "")
    assert host.wait_end(END_S) is not None
    assert_recorded(host)
    assert host.folder.ledger.is_file(), "the run has ended in order"


def test_a_host_that_holds_the_interpreter_is_dark_and_stays_so(host: Program) -> None:
    moment = Moment()
    host.order("hold")

    assert_dark(host, moment, "no beat of the program")
    host.order("last-line")
    assert host.wait_end(END_S) == 0
    assert host.light.all_dark
    assert_recorded(host)


@posix
def test_a_killed_host_is_dark_although_a_child_of_it_lives_on(host: Program) -> None:
    note = host.folder.path.with_name(f"{host.folder.path.name}.{FORKED}")
    host.order("fork")
    for _ in range(1000):
        if note.is_file() and note.read_text(encoding="utf-8"):
            break
        host.rig.pause(0.01)
    child = int(note.read_text(encoding="utf-8"))
    moment = Moment()
    host.process.kill()

    assert_dark(host, moment, "dark by the sentinel")
    end_process(child)
    assert host.wait_end(END_S) == -signal.SIGKILL
    assert_recorded(host)
