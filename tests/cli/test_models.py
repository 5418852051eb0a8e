"""`rtsmlm models` lists what is there, measures it, and names what is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.models.catalog import find_model


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsmlm.cli.console.console._width", 220)


def test_every_model_has_its_task_psf_size_and_accuracy(wide: None) -> None:
    done = CliRunner().invoke(app, ["models", "--no-speed"])

    assert done.exit_code == 0
    for text in ("flagship-2d-fast", "flagship-astig", "localize", "astigmatic", "round", "CRLB"):
        assert text in done.output
    assert "frames/s" not in done.output


def test_a_folder_is_listed_with_its_speed_and_a_damaged_one_named(
    wide: None, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(find_model("flagship-2d-fast"), tmp_path / "mine"))
    good = CliRunner().invoke(app, ["models", str(folder)])
    (folder / "model.onnx").write_bytes(b"nothing")

    bad = CliRunner().invoke(app, ["models", "--no-speed", str(folder)])

    assert good.exit_code == 0
    assert good.output.count("frames/s") == 1, "what was not asked about is not measured"
    assert "spots/s" not in good.output
    assert "flagship-astig" in good.output
    assert bad.exit_code == 1
    assert "sha256 differs" in bad.output
    assert "flagship-2d " in bad.output, "one damaged folder hides no other"
