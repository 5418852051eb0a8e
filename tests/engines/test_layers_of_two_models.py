"""The end of a run with two networks of images: the process is waited for while it writes layers,
what is broken off is named, and is made afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.cli import app  # noqa: E402
from rtsmlm.files.tables.arrow_file import ArrowStreamFile  # noqa: E402
from rtsmlm.localizations import Localizations  # noqa: E402
from rtsmlm.offline.layers import write_layers  # noqa: E402
from rtsmlm.pipeline import image_feed  # noqa: E402
from rtsmlm.pipeline.events import LayersLeft, LayersOpened, to_line  # noqa: E402
from rtsmlm.pipeline.image_feed import ImageFeed  # noqa: E402
from rtsmlm.pipeline.job import PipelineJob  # noqa: E402
from rtsmlm.realtime.child_process import ChildProcess  # noqa: E402
from rtsmlm.render.layer_file import read_layer  # noqa: E402
from rtsmlm.session.session import Session  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402
from rtsmlm.settings.run import RunSettings  # noqa: E402

MakeModel = Callable[..., Path]
SHAPE = (40, 48)
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)
IMAGE_AXES = {0: "n", 2: "height", 3: "width"}
WAIT_S = 120.0


class Same(nn.Module):
    def forward(self, localizations: Tensor, structure: Tensor) -> Tensor:
        return localizations * structure.sum(dim=1)[:, None, None, None]


def model_of(make_model: MakeModel, name: str, structure: str) -> Path:
    return make_model(
        Same(), {"localizations": (2, 1, 8, 8), "structure": (2, 1)}, name=name, task="image",
        image_pixel_nm=50.0, block_px=8, overlap_px=16, structures=(structure,),
        axes={"localizations": IMAGE_AXES, "structure": {0: "n"}, "answer": IMAGE_AXES},
    )  # fmt: skip


@pytest.fixture
def changed(make_model: MakeModel) -> list[str]:
    """Return the settings of two networks, each for a structure of its own."""
    models = [
        model_of(make_model, "one", "filaments").as_posix(),
        model_of(make_model, "two", "nuclear-pores").as_posix(),
    ]
    return [
        f"results.image_models={models}".replace("'", '"'),
        "results.structures=filaments,nuclear-pores", "localizer.engine=openvino",
    ]  # fmt: skip


def write_table(folder: Path) -> Path:
    path = folder / "localizations.arrows"
    with ArrowStreamFile(path, {"shape": SHAPE, "pixel_nm": 100.0}) as table:
        table.put(
            Localizations.from_columns(
                {
                    "frame": [0, 1, 2],
                    "x_nm": [0.0, 900.0, 900.0],
                    "y_nm": [0.0, 0.0, 0.0],
                    "channel": [0, 0, 1],
                }
            )
        )
    return path


@pytest.mark.parametrize("by_keyboard", [False, True])
def test_layers_that_were_broken_off_are_named_and_made_later(
    changed: list[str], tmp_path: Path, by_keyboard: bool
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    settings = load(None, [*changed, "camera.pixel_nm=100", "camera.offset_adu=100"])
    (folder / "run.toml").write_text("[camera]\npixel_nm = 100.0\noffset_adu = 100.0\n")
    table = write_table(folder)
    steps: list[str] = []

    def on_step(step: str) -> None:
        steps.append(step)
        if by_keyboard and "two" in step:
            raise KeyboardInterrupt

    notes = write_layers(
        table, SHAPE, CALIBRATION, settings, None, on_step=on_step,
        is_broken_off=lambda: not by_keyboard and any("one" in step for step in steps),
    )  # fmt: skip

    made = {path.name for path in folder.glob("predicted_*.tif")}
    assert made == ({"predicted_one.tif"} if by_keyboard else set())
    assert len(notes) == 1
    assert ("(two)" if by_keyboard else "(one, two)") in notes[0]
    assert f"rtsmlm layers {folder}" in notes[0]

    sets = [text for change in changed for text in ("--set", change)]
    ended = CliRunner().invoke(app, ["layers", str(folder), *sets], catch_exceptions=False)

    assert ended.exit_code == 0, ended.output
    assert "image layer of one" in ended.output
    stored = [read_layer(folder / f"predicted_{name}.tif").layer for name in ("one", "two")]
    assert [layer.image.sum() for layer in stored] == pytest.approx([2.0, 1.0])


def test_a_table_of_another_program_has_its_layers_where_its_rows_lie(
    changed: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "mosaic.csv"
    lines = [f"{k},{-9_000_000 + 25 * k},{4_000_000 + 10 * k}" for k in range(40)]
    path.write_text("\n".join(["frame,x [nm],y [nm]", *lines]))
    sets = [text for change in changed for text in ("--set", change)]

    ended = CliRunner().invoke(app, ["layers", str(path), "--pixel-nm", "100", *sets])

    stored = read_layer(tmp_path / "mosaic_layers" / "predicted_one.tif").layer
    assert stored.image.sum() == pytest.approx(40.0), ended.output
    assert (stored.n_localizations, stored.n_outside) == (40, 0)
    assert stored.corner_nm == pytest.approx((-9_000_000, 4_000_000), abs=51)
    assert stored.image.shape == (8, 20)
    assert not read_layer(tmp_path / "mosaic_layers" / "predicted_two.tif").layer.image.any()


def feed_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, *, of_frames: bool
) -> tuple[ImageFeed, ChildProcess, list[str]]:
    """Return a feed whose process is a small program, once that has said that it is open."""
    warnings: list[str] = []
    feed = ImageFeed(PipelineJob("", tmp_path, RunSettings()), SHAPE, warnings.append)
    lines = f"import sys, time\nprint({to_line(LayersOpened(['one']))!r}, flush=True)\n"
    child = ChildProcess(
        "process of image networks", [sys.executable, "-c", lines + program], on_line=feed._take
    )
    feed._child, feed._gives_frames = child, of_frames
    for _ in range(int(WAIT_S / 0.05)):
        if feed._is_open:
            break
        child.wait(0.05)
    assert feed._is_open
    return feed, child, warnings


LEFT = to_line(LayersLeft(["one"]))
ONE_AFTER_THE_OTHER = f"""
sys.stdin.read()
for _ in range(8):
    print({LEFT!r}, flush=True)
    time.sleep(0.5)
"""
STUCK = "sys.stdin.read()\ntime.sleep(600)\n"


def test_layers_that_are_written_one_after_the_other_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_feed, "_SILENT_S", 2.5)  # of four seconds in all
    feed, child, warnings = feed_with(monkeypatch, tmp_path, ONE_AFTER_THE_OTHER, of_frames=True)
    beats: list[bool] = []

    feed.close(lambda: beats.append(True))

    assert child.exit_code() == 0
    assert not warnings
    assert len(beats) > 2, "the owner sees it alive"


def test_a_process_that_writes_nothing_is_ended_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_feed, "_SILENT_S", 0.3)
    feed, child, warnings = feed_with(monkeypatch, tmp_path, STUCK, of_frames=True)

    feed.close(lambda: None)

    assert child.exit_code() not in {None, 0}
    assert len(warnings) == 1
    assert "wrote no layer" in warnings[0]


@pytest.mark.parametrize("of_frames", [False, True])
def test_the_process_ends_where_it_has_nothing_to_write_or_the_user_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_frames: bool
) -> None:
    monkeypatch.setattr(image_feed, "_SILENT_S", 600.0)
    feed, child, warnings = feed_with(monkeypatch, tmp_path, STUCK, of_frames=of_frames)

    feed.close(lambda: None, is_given_up=lambda: of_frames)

    assert child.exit_code() not in {None, 0}
    assert not warnings


def test_a_live_run_with_two_networks_ends_with_both_images(
    changed: list[str],
    spot_camera: Callable[..., object],
    quick_settings: Callable[..., RunSettings],
) -> None:
    settings = quick_settings(
        *changed, "acquisition.frames=40", "record.raw=false", "pipeline.validity=false"
    )
    steps: list[str] = []
    session = Session(spot_camera(period_s=0.002), settings, on_step=steps.append)  # type: ignore[arg-type]
    session.start()
    assert session.wait(WAIT_S)

    report = session.close()

    assert report.ok, report.failures
    assert not [text for text in report.warnings if "image" in text]
    assert {"image layer of one", "image layer of two"} <= set(steps)
    stored = read_layer(report.folder / "predicted_one.tif")
    assert stored.layer.n_localizations == report.localizations > 0
    assert stored.uncertainty is not None
    assert (report.folder / "predicted_two.tif").is_file()
