"""The page says what was measured, what was missed, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtsmlm.bench.accuracy.measure import Goal, Limit, Outcome, Row
from rtsmlm.bench.accuracy.page import markdown_table, page
from rtsmlm.bench.accuracy.reference_data import find_data
from rtsmlm.cli.bench import app
from rtsmlm.errors import ConfigError, LocalizerError

FACTS = {"command": "rtsmlm bench accuracy", "version": "1", "processor": "a processor"}


def rows() -> list[Row]:
    goal = Goal(figure="RMSE", bar=Limit(high=1.15), aim=Limit(high=1.05))
    above = Goal(figure="Jaccard", above=("fit",))
    return [
        Row(section="Crowds", condition="c", goal=goal, values={"fit": 1.0, "net": 1.2}),
        Row(section="Crowds", condition="c", goal=above, values={"fit": 0.3, "net": 0.8}),
    ]


def test_what_misses_its_bar_is_bold_and_what_has_none_is_not() -> None:
    lines = markdown_table(rows(), ["fit", "net", "absent"]).splitlines()

    assert lines[0] == "| condition | figure | bar | aim | fit | net |"
    assert lines[2] == "| c | RMSE | <= 1.15 | <= 1.05 | 1 | **1.2** |"
    assert lines[3] == "|  | Jaccard | above fit |  | 0.3 | 0.8 |"


def test_the_page_names_command_machine_peers_and_what_is_left_out() -> None:
    outcome = Outcome(rows=rows(), notes=["smappy is not installed here"])
    outcome.leave_out("net", "Empty frames", LocalizerError("no weights"))

    text = page(outcome, ["fit", "net"], {**FACTS, "peers": "Picasso 0.11"})

    assert "`rtsmlm bench accuracy`" in text
    assert "a processor" in text
    assert "They are Picasso 0.11." in text
    assert "## Crowds" in text
    assert "- smappy is not installed here\n- net is left out of Empty frames: no weights" in text
    assert not any(line.startswith("|") and len(line.split("|")) != 8 for line in text.split("\n"))


def test_a_folder_of_data_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data or RTSMLM_DATA"):
        find_data(tmp_path / "nowhere")


def run(tmp_path: Path, *options: str) -> tuple[str, str, list[dict[str, object]]]:
    """Run the command for the fit; return what it says, the page and the figures."""
    page_path, json_path = tmp_path / "page.md", tmp_path / "figures.json"
    files = ["--markdown", str(page_path), "--json", str(json_path)]
    command = ["accuracy", "--quick", "--localizer", "gaussian-mle", *options, *files]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(json_path.read_text(encoding="utf-8"))["rows"]
    return result.output, page_path.read_text(encoding="utf-8"), figures


def test_the_command_writes_page_and_figures_and_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RTSMLM_DATA", raising=False)

    _, text, figures = run(tmp_path, "--only", "stated")

    assert "reference data" in text.partition("What is left out")[2]
    assert "## Stated errors" in text
    assert {row["section"] for row in figures} == {"Stated errors"}
    assert figures[0]["values"]["gaussian-mle"] == pytest.approx(1, abs=0.1)  # type: ignore[index]


def test_the_command_scores_the_data_of_others(
    tmp_path: Path, data_dir: Callable[[str], Path]
) -> None:
    folder = data_dir("nairr").parent

    _, text, figures = run(tmp_path, "--only", "reference", "--data", str(folder))

    jaccard = {
        str(row["condition"])[:18]: row["values"]["gaussian-mle"]  # type: ignore[index]
        for row in figures
        if row["figure"] == "Jaccard index"
    }
    # As `rtsmlm evaluate` gives them.
    assert jaccard["nairr 2DGauss LD, "] == pytest.approx(0.703, abs=0.02)
    assert jaccard["nairr 2DGauss HD, "] == pytest.approx(0.231, abs=0.02)
    assert "MT0.N1.LD" in text
