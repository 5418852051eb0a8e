"""What the open benchmark writes: a row for each system, JSON that comes back, others' models."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

from rtsmlm.bench.accuracy.figures import JACCARD, RMSE
from rtsmlm.bench.models.chart import chart
from rtsmlm.bench.models.entrants import Entrant, entrants
from rtsmlm.bench.models.image_figures import CORRELATION, histogram
from rtsmlm.bench.models.image_sets import filament_scene, judge
from rtsmlm.bench.models.page import page
from rtsmlm.bench.models.psfs import KnownPsf, has_own_psf, own_psf
from rtsmlm.bench.models.results import (
    MachineFacts,
    ModelFacts,
    Results,
    Score,
    Speed,
    merged,
    read,
    save,
)
from rtsmlm.bench.models.row_scenes import redrawn_scene
from rtsmlm.bench.models.row_sets import DEPTH, PLANE
from rtsmlm.bench.models.systems import NOT_YET, SYSTEMS
from rtsmlm.bench.models.trials import Trial, hold
from rtsmlm.cli.bench import app
from rtsmlm.errors import ConfigError, FileFormatError, LocalizerError
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import Manifest, read_manifest
from rtsmlm.physics.psf import GaussianPsf


def results(*names: str, seed: int = 0, architecture: str = "decode") -> Results:
    models = tuple(
        ModelFacts(name=n, task="localize", architecture=architecture, parameters=1234,
                   kmac_per_px=5.6)
        for n in names
    )  # fmt: skip
    scores = [
        Score(section=section, condition=condition, model=name,
              figures={JACCARD: 0.75, RMSE: 126.0, "axial RMSE, nm": None})
        for name in names
        for section, condition in ((PLANE, "1 per µm²"), (PLANE, "6 per µm²"), (DEPTH, "1 per µm²"))
    ]  # fmt: skip
    speeds = [Speed(model=n, engine="openvino", what="frames/s at 256 x 256", per_s=30.0)
              for n in names]  # fmt: skip
    return Results(
        rtsmlm="1", command="rtsmlm bench models", seed=seed, quick=False, has_data=False,
        machine=MachineFacts(system="s", processor="a processor", cores=2),
        models=models, scores=tuple(scores), speeds=tuple(speeds), notes=("x is left out: y",),
    )  # fmt: skip


def test_the_page_has_a_row_for_each_of_the_twelve_systems() -> None:
    text = page(results("mine"))

    lines = [line for line in text.splitlines() if line.startswith("|")]
    for system in SYSTEMS:
        row = next(line for line in lines if line.startswith(f"| {system.name} |"))
        assert system.claim in row
        if system.architecture == "decode":
            assert "Jaccard 0.75, errors 126 and - nm" in row
        else:
            assert NOT_YET in row
    assert len(SYSTEMS) == 12
    assert "simulated sets alone" in text
    assert "- x is left out: y" in text
    assert "0.75 · 126" in text
    assert "e+" not in text, "no exponents for a reader"


def test_tables_of_the_page_are_whole_and_its_links_lead_to_its_headings() -> None:
    text = page(results("mine", "other"), "images/models.svg")

    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 5
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1, table
    titles = {line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    anchors = {"".join(c for c in t.replace(" ", "-") if c.isalnum() or c == "-") for t in titles}
    for part in text.split("](#")[1:]:
        assert part.partition(")")[0] in anchors
    assert "](images/models.svg)" in text


def test_what_was_measured_comes_back_from_json_and_draws_the_same_page(tmp_path: Path) -> None:
    measured = results("mine")

    save(measured, tmp_path / "r.json")

    assert read(tmp_path / "r.json") == measured
    (tmp_path / "bad.json").write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(FileFormatError, match="does not hold results"):
        read(tmp_path / "bad.json")


def test_results_of_others_join_ours_if_they_are_of_the_same_sets() -> None:
    ours, theirs = results("mine"), results("mine", "theirs")
    elsewhere = MachineFacts(system="s", processor="another processor", cores=64)
    theirs = theirs.model_copy(update={"machine": elsewhere})

    both = merged([("ours", ours), ("theirs", theirs)])

    assert [model.name for model in both.models] == ["mine", "theirs"]
    assert len(both.scores) == 2 * len(ours.scores)
    assert "theirs: measured on another processor" in both.notes[-1]
    with pytest.raises(FileFormatError, match="measure again"):
        merged([("ours", ours), ("other seed", results("late", seed=1))])


def test_the_picture_is_sound_and_has_a_line_for_each_model() -> None:
    text = chart(results("mine", "other"))

    assert text is not None
    root = ET.fromstring(text)  # noqa: S314
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 * 2
    assert "prefers-color-scheme: dark" in text


def test_an_entrant_that_fails_is_left_out_with_a_sentence() -> None:
    def prepare() -> Any:
        def answer(entrant: Entrant) -> dict[str, float]:
            if entrant.name == "bad":
                raise LocalizerError("no such camera\nat all")
            return {JACCARD: float("nan")}

        return answer

    trial = Trial(section="S", condition="c", prepare=prepare, enters=lambda e: e.name != "shy")
    notes: list[str] = []

    scores = hold([trial], [Entrant(name=n) for n in ("good", "bad", "shy")], notes)

    assert [(score.model, score.figures) for score in scores] == [("good", {JACCARD: None})]
    assert notes == ["bad is left out of s (c): no such camera at all"]


def test_a_network_of_images_is_scored_by_its_image_and_its_peaks(
    rng: np.random.Generator,
) -> None:
    scene = filament_scene(rng, 2, 1.0)

    def images(shown: Any) -> list[np.ndarray]:
        pixel_nm = shown.calibration.pixel_nm
        return [
            histogram(shown.truth.take(shown.truth.frame == k), (64, 64), 4, pixel_nm)
            for k in shown.batch.index
        ]

    perfect: Any = SimpleNamespace(
        task="image", manifest=SimpleNamespace(upsampling=4), images=images
    )

    figures = judge(perfect, scene, scene)

    assert figures[CORRELATION] == pytest.approx(1.0)
    # Two emitters in fine pixels side by side have one peak.
    assert figures[JACCARD] > 0.6
    assert figures[RMSE] < 25.0


def test_a_truth_drawn_anew_keeps_its_places_and_changes_its_noise(
    rng: np.random.Generator,
) -> None:
    truth = Localizations.from_columns(
        {"frame": np.array([0, 2]), "x_nm": np.array([1500.0, 3000.0]),
         "y_nm": np.array([1500.0, 4500.0]), "photons": np.array([5000.0, 5000.0])}
    )  # fmt: skip
    known = KnownPsf(
        name="g", psf=GaussianPsf(1.0), pixel_nm=150.0, sigma_nm=150.0, z_nm=(0.0, 0.0)
    )

    scene = redrawn_scene(rng, truth, known, (40, 40), 5.0, repeats=2)

    assert scene.batch.index.tolist() == [0, 1, 2, 4, 5, 6]
    assert scene.truth.frame.tolist() == [0, 2, 4, 6]
    brightest = np.unravel_index(scene.batch.pixels[2].argmax(), (40, 40))
    assert brightest == (30, 20)
    assert scene.calibration.pixel_nm == 150.0
    assert not np.array_equal(scene.batch.pixels[0], scene.batch.pixels[3])


def test_a_network_of_one_psf_states_which_or_is_told_what_is_missing(tmp_path: Path) -> None:
    manifest = read_manifest(find_model("flagship-2d-fast"))

    def stating(**recipe: Any) -> Manifest:
        training = manifest.training.model_copy(update={"recipe": recipe})
        return manifest.model_copy(update={"training": training, "z_range_nm": (-500, 500)})

    beads = stating(psf={"file": "beads.npz", "z_nm": [-500, 500]})
    assert has_own_psf(stating(psf={"z_nm": [-500, 500]}), tmp_path)
    assert not has_own_psf(beads, tmp_path)
    (tmp_path / "beads.npz").touch()
    assert has_own_psf(beads, tmp_path)
    with pytest.raises(ConfigError, match=r"states no PSF .training\.recipe\.psf"):
        own_psf(stating(), tmp_path)


def test_sets_of_a_model_are_the_same_with_or_without_others() -> None:
    one, other = Entrant(name="one"), Entrant(name="other")

    again = Entrant(name="one").rngs(0, 2)

    assert [rng.random() for rng in one.rngs(0, 2)] == [rng.random() for rng in again]
    assert one.rngs(0, 1)[0].random() != other.rngs(0, 1)[0].random()
    assert one.rngs(0, 1)[0].random() != one.rngs(1, 1)[0].random()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of someone else's: that of another name in a folder of its own."""
    place = tmp_path / "my-model"
    shutil.copytree(find_model("flagship-2d-fast"), place)
    text = (place / "manifest.toml").read_text(encoding="utf-8")
    text = text.replace('name = "flagship-2d-fast"', 'name = "mine"', 1)
    (place / "manifest.toml").write_text(text, encoding="utf-8")
    return place


def test_a_model_folder_enters_by_its_path(folder: Path, tmp_path: Path) -> None:
    out, markdown = tmp_path / "r.json", tmp_path / "docs" / "models.md"
    markdown.parent.mkdir()
    command = ["models", "--quick", "--alone", "--no-speed", "--model", str(folder)]
    command += ["--only", "0.1 per", "--out", str(out), "--markdown", str(markdown)]

    result = CliRunner().invoke(app, command, env={"RTSMLM_DATA": ""}, catch_exceptions=False)

    assert result.exit_code == 0, result.output
    measured = read(out)
    assert [model.name for model in measured.models] == ["my-model"]
    assert measured.figure("my-model", PLANE, "0.1 per", JACCARD) > 0.9
    assert "| my-model |" in markdown.read_text(encoding="utf-8")
    assert (tmp_path / "docs" / "images" / "models.svg").is_file()
    again = tmp_path / "again.md"
    CliRunner().invoke(app, ["models", "--from", str(out), "--markdown", str(again)])
    assert again.read_text(encoding="utf-8") == markdown.read_text(encoding="utf-8")


def test_fits_and_flagships_stand_beside_a_model_and_a_wrong_name_is_refused(folder: Path) -> None:
    notes: list[str] = []

    found = entrants([str(folder)], alone=False, notes=notes)

    assert [entrant.label for entrant in found] == [
        "gaussian-mle", "astigmatic-mle", "flagship-2d", "flagship-2d-fast", "flagship-astig",
        "my-model",
    ]  # fmt: skip
    assert [entrant.finds_z for entrant in found] == [False, True, False, False, True, False]
    with pytest.raises(ConfigError, match="no-such"):
        entrants(["no-such"], alone=True, notes=notes)
