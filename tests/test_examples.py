"""Every example runs as its page says, in a process of its own and without a screen."""

from __future__ import annotations

import csv
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.files.tables.read import read_table

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
QUICK = ("localizer.name=gaussian-mle", "psf.sigma_nm=130")
"""A fit is ready sooner than a network."""

Start = Callable[..., "subprocess.Popen[str]"]


def install(folder: Path, site: Path) -> str:
    """Make the entry points of an example known without pip; return the PYTHONPATH to use."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    lines = []
    for group, offers in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in offers.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return os.pathsep.join((str(site), str(folder)))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts Python with these arguments; what still runs is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, path: str = "") -> subprocess.Popen[str]:
        paths = os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", *map(str, arguments)],
            cwd=tmp_path, env=environment, text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def free_address() -> str:
    """Return an address that no program is bound to at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def text_of(process: subprocess.Popen[str]) -> str:
    # Only against a program that hangs: the first start compiles, beside whatever else runs.
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return text


def live(start: Start, folder: Path, *arguments: str | Path, path: str = "") -> str:
    """Run the live command and return what it printed."""
    settings = [text for setting in QUICK for text in ("--set", setting)]
    command = ("-m", "rtsmlm.cli", "live", "--headless", "--out", folder, *settings, *arguments)
    return text_of(start(*command, path=path))


def test_every_example_is_named_on_the_page_and_run_by_a_test() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    tests = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))

    for path in EXAMPLES.iterdir():
        if path.name not in ("README.md", "__pycache__"):
            assert f"({path.name})" in page, path.name
            assert f'"{path.name}"' in tests, path.name


def test_a_program_with_a_core_of_its_own_gets_its_frames_localized(
    start: Start, tmp_path: Path
) -> None:
    settings = (f"results.out={tmp_path.as_posix()}", "results.name=run", "stream.enabled=false")

    text = text_of(start(EXAMPLES / "attach.py", *QUICK, *settings))

    assert "ledger balances: 300 received = 300 localized" in text
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_second_program_follows_the_density_until_the_run_ends(
    start: Start, tmp_path: Path, free_address: str
) -> None:
    follower = start(EXAMPLES / "subscriber.py", free_address)

    live(start, tmp_path / "run", "--frames", "400", "--set", f"stream.address={free_address}")
    text = text_of(follower)

    densities = [float(found) for found in re.findall(r": ([\d.]+) localizations per frame", text)]
    assert len(densities) >= 4
    assert all(0.0 <= density < 1.0 for density in densities)
    assert any(density > 0.0 for density in densities)
    assert "the run has ended; batches missed: 0" in text


def test_a_camera_from_another_package_is_recorded_and_localized(
    start: Start, tmp_path: Path
) -> None:
    example = EXAMPLES / "own_camera"
    path = install(example, tmp_path / "site")

    text = live(start, tmp_path / "run", example / "run.toml", path=path)

    assert "ledger balances: 300 received = 300 localized + 0 skipped; 300 recorded, 0 lost" in text
    table = read_table(tmp_path / "run")
    assert table.metadata["pixel_nm"] == 100.0
    # Eight spots that are on for three frames in ten.
    assert 1.5 < len(table.localizations) / 300 < 3.5


def test_a_laser_from_another_package_is_armed_lit_and_dark_at_the_end(
    start: Start, tmp_path: Path
) -> None:
    example = EXAMPLES / "own_laser"
    path = install(example, tmp_path / "site")

    live(start, tmp_path / "run", example / "run.toml", "--arm", path=path)

    rows = list(read_laser_log(tmp_path / "run" / "lasers.csv"))
    assert rows[0]["kind"] == "arm"
    assert [row["sent"] for row in rows if row["kind"] == "command"] == ["20"]
    assert rows[-1]["kind"] == "dark"
    assert (tmp_path / "my_laser.txt").read_text() == "power 1.0\nemission off\n"


def test_a_sink_from_another_package_gets_every_row(start: Start, tmp_path: Path) -> None:
    example = EXAMPLES / "own_sink"
    path = install(example, tmp_path / "site")

    # Where a run finds out more about its camera, the frames before are localized again behind it.
    known = ("--set", "camera.wrong_pixels=off", "--set", "camera.estimate=false")
    live(start, tmp_path / "run", example / "run.toml", *known, path=path)

    with (tmp_path / "run" / "emitters.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = read_table(tmp_path / "run").localizations
    assert sum(int(row["emitters"]) for row in rows) == len(table) > 0
    assert [int(row["frame"]) for row in rows] == sorted(set(table.frame.tolist()))


def test_a_laser_from_another_package_can_be_rehearsed(start: Start, tmp_path: Path) -> None:
    example = EXAMPLES / "own_laser"
    path = install(example, tmp_path / "site")
    command = ("-m", "rtsmlm.cli", "hil", example / "run.toml", "--only", "laser-limits")

    text = text_of(start(*command, "--report", tmp_path / "report", path=path))

    assert "passed  laser-limits" in text


def test_a_network_of_ones_own_is_trained_and_run_by_the_path_of_its_folder(
    start: Start, tmp_path: Path
) -> None:
    for package in ("torch", "onnx", "safetensors"):
        pytest.importorskip(package)
    example, model = EXAMPLES / "own_network", tmp_path / "my-model"

    text_of(start(example / "train.py", "--steps", "2", "--out", model, path=str(example)))
    name = f"localizer.name={model.as_posix()}"
    text = live(start, tmp_path / "run", "--frames", "60", "--set", name)

    assert "ledger balances: 60 received = 60 localized + 0 skipped" in text
    for engine in ("openvino", "torch"):
        raw, out = tmp_path / "run" / "raw.ome.zarr", tmp_path / engine
        again = ("-m", "rtsmlm.cli", "reconstruct", raw, "--out", out, "--set", name)
        text = text_of(start(*again, "--set", f"localizer.engine={engine}"))
        assert "in 60 of 60 frames" in text
    bench = ("-m", "rtsmlm.cli", "bench", "accuracy", "--localizer", model, "--quick")
    text = text_of(start(*bench, "--only", "empty"))
    assert "my-model" in text
