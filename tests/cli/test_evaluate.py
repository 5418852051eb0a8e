from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from rtsmlm.cli.evaluate import evaluate
from rtsmlm.errors import FileFormatError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations

TRUTH = "Ground-truth,frame,xnano,ynano,znano,intensity\n"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run the command and return what it printed and wrote."""
    app = typer.Typer()
    app.command()(evaluate)

    def run(*arguments: object) -> tuple[str, dict[str, Any]]:
        path = tmp_path / "figures" / "metrics.json"
        result = CliRunner().invoke(app, [*map(str, arguments), "--json", str(path)])
        if result.exception is not None:
            raise result.exception
        return result.output, json.loads(path.read_text())

    return run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Ten frames of 64 x 64 pixels with an emitter in each, seen 10 nm too far right."""
    n = 10
    columns = {"frame": np.arange(n), "x_nm": np.full(n, 2010.0), "y_nm": np.full(n, 3000.0)}
    path = tmp_path / "run" / "localizations.arrows"
    path.parent.mkdir()
    with ArrowStreamFile(path, {"pixel_nm": 100.0, "shape": [64, 64]}) as file:
        file.put(Localizations.from_columns(columns))
    (path.parent / "ledger.json").write_text('{"received": 10, "lost": 0}')
    return path.parent


def truth_csv(folder: Path, frames: int) -> Path:
    path = folder / "truth.csv"
    lines = [f"{k},{k},2050.0,3050.0,0.0,1000" for k in range(1, frames + 1)]
    path.write_text(TRUTH + "\n".join(lines) + "\n")
    return path


def test_a_run_folder_is_scored_in_its_own_pixels(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    output, figures = run(run_folder, truth_csv(tmp_path, 10))

    assert (figures["tp"], figures["fp"], figures["fn"]) == (10, 0, 0)
    assert figures["jaccard"] == 1
    assert figures["rmse_lateral_nm"] == pytest.approx(10)
    assert figures["efficiency_lateral"] == pytest.approx(90)
    assert figures["efficiency_3d"] is None
    assert figures["median_dx_nm"] == pytest.approx(10)
    assert figures["field_nm"] == [-50, -50, 6350, 6350]
    assert (figures["radius_nm"], figures["border_nm"], figures["matching"]) == (250, 450, "greedy")
    assert figures["notes"] == []
    assert "Jaccard" in output


def test_emitters_after_the_analysed_frames_are_left_out_and_said(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    output, figures = run(run_folder, truth_csv(tmp_path, 15))

    assert (figures["tp"], figures["fn"], figures["n_frames"]) == (10, 0, 10)
    assert "5 emitters after the 10 analysed frames are left out" in " ".join(output.split())


def test_without_a_known_end_later_emitters_count_as_missed_and_it_is_said(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    (run_folder / "ledger.json").unlink()
    truth = truth_csv(tmp_path, 15)

    _, figures = run(run_folder, truth)
    _, restricted = run(run_folder, truth, "--frames", 10)

    assert (figures["tp"], figures["fn"]) == (10, 5)
    assert "count as missed" in figures["notes"][0]
    assert restricted["fn"] == 0


def test_localizations_after_the_last_emitter_count_as_false_and_it_is_said(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    _, figures = run(run_folder, truth_csv(tmp_path, 8))

    assert (figures["tp"], figures["fp"]) == (8, 2)
    assert "2 localizations after the last emitter" in figures["notes"][0]


def test_options_reach_the_comparison(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    truth = truth_csv(tmp_path, 10)

    _, narrow = run(run_folder, truth, "--radius-nm", 5, "--method", "hungarian")
    _, centred = run(run_folder, truth, "--subtract-offset")
    _, borderless = run(run_folder, truth, "--border-nm", 3000)

    assert (narrow["tp"], narrow["fp"], narrow["fn"], narrow["matching"]) == (
        0,
        10,
        10,
        "hungarian",
    )
    assert narrow["rmse_lateral_nm"] is None
    assert centred["rmse_lateral_nm"] == pytest.approx(0, abs=1e-3)
    assert borderless["n_truth"] == 0
    assert "no emitter lies inside the border" in borderless["notes"][0]


def test_a_table_without_a_pixel_size_is_an_error_that_names_the_option(
    run: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    truth = truth_csv(tmp_path, 3)

    with pytest.raises(FileFormatError, match="--pixel-nm"):
        run(truth, truth)


@pytest.mark.parametrize("file", ["2DGauss_HD.csv", "3DAS_MD.csv"])
def test_reference_truth_agrees_with_itself(
    file: str, run: Callable[..., tuple[str, dict[str, Any]]], data_dir: Callable[[str], Path]
) -> None:
    truth = data_dir("nairr") / file

    _, figures = run(truth, truth, "--pixel-nm", 100)

    assert figures["jaccard"] == 1
    assert figures["efficiency_lateral"] == 100
    assert (figures["efficiency_3d"] == 100) == file.startswith("3D")
    assert figures["field_nm"] == [-50, -50, 3150, 3150]
    assert "size of the field" in figures["notes"][0]


def test_a_figure_that_is_not_defined_is_a_dash_and_null(
    run: Callable[..., tuple[str, dict[str, Any]]], run_folder: Path, tmp_path: Path
) -> None:
    far = tmp_path / "truth.csv"
    far.write_text(TRUTH + "1,1,5050.0,5050.0,0.0,1000\n")

    output, figures = run(run_folder, far)

    assert figures["tp"] == 0
    assert figures["rmse_lateral_nm"] is None
    assert next(line for line in output.splitlines() if "RMSE lateral" in line).count(" - ") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--brightest", "0"), ("--brightest", "1.5"), ("--radius-nm", "0"), ("--method", "best")],
)
def test_an_option_out_of_its_limits_is_a_mistake_of_the_command_line(
    run_folder: Path, option: str, value: str
) -> None:
    app = typer.Typer()
    app.command()(evaluate)

    result = CliRunner().invoke(app, [str(run_folder), str(run_folder), option, value])

    assert result.exit_code == 2
    assert option in result.output
