"""What the report says of a run is what its files say: asked and measured, curves, accounts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.files.movies.account import MovieAccount, StatedFrames
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report import accounts, sections
from rtsmlm.offline.report.asked import Asked, asked_of
from rtsmlm.offline.report.gathered import Gathered, drift_of, gather, json_of, lasers_of
from rtsmlm.offline.report.methods import methods_section
from rtsmlm.offline.report.sources import Citations
from rtsmlm.offline.report.style import whole_page
from rtsmlm.offline.report.summary import TableSummary, median_of

HEAD = (
    "time_utc,t_s,actuator,kind,wanted,sent,unit,measured,dose,frame,latency_ms,"
    "estimate_per_um2,std_per_um2,target_per_um2,state,reason\n"
)
LEDGER = {
    "camera": 110, "received": 100, "recorded": 100, "localized": 96, "skipped": 4, "lost": 10,
    "ranges": {"lost": [[5, 5], [20, 28]], "skipped": [[40, 43]]},
    "localizers": [
        {"from_frame": 0, "name": "auto", "label": "flagship-2d, OpenVINO bf16, after a fit of "
         "lone emitters", "psf_sigma_nm": 130.0, "frames_per_s": 900.0, "camera_frames_per_s": 98.0}
    ],
}  # fmt: skip


def lines(density: float, target: str, power: float) -> str:
    rows = (f",{k},uv,set,1,{power},mW,,,{k * 5},,{density},0.001,{target},,\n" for k in range(20))
    return HEAD + "".join(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(
        "[camera]\ndriver = 'micromanager'\npixel_nm = 100.0\noffset_adu = 100.0\n"
        "e_per_adu = 0.46\nread_noise_e = 1.6\nem_gain = 100.0\n"
        "[acquisition]\nframes = 100\nexposure_ms = 10.0\n[record]\nraw = true\n"
        "[lasers.uv]\nmax_power = 5.0\n[feedback]\narm = true\nlaser = 'uv'\n"
        "target_per_um2 = 0.1\n[feedback.stop]\nresolution_nm = 40.0\nlocalizations = 500\n"
        "[localizer]\nname = 'auto'\nrefine = true\n[run.camera]\nname = 'Ixon'\n"
        "[run.versions]\nrtsmlm = '0.1.0'\n",
        encoding="utf-8",
    )
    return tmp_path


def summary_of(rng: np.random.Generator, n: int = 600) -> TableSummary:
    summary = TableSummary(field_um2=100.0)
    summary.add(
        Localizations.from_columns(
            {
                "frame": np.sort(rng.integers(0, 100, n)),
                "x_nm": rng.uniform(0, 9000, n),
                "y_nm": rng.uniform(0, 9000, n),
                "z_nm": rng.uniform(-300, 300, n),
                "std_z_nm": np.full(n, 30.0),
                "photons": rng.uniform(900, 1100, n),
                "background": rng.uniform(9, 11, n),
                "std_x_nm": np.full(n, 8.5),
                "std_y_nm": np.full(n, 8.5),
            }
        )
    )
    return summary


def outcomes(run: Gathered, table: TableSummary, ledger: object = LEDGER) -> dict[str, Asked]:
    assert isinstance(ledger, dict)
    rows = asked_of(run, ledger, table, {"width_ratio": 1.1, "verdict": "PSF too narrow"})
    return {row.what: row for row in rows}


def test_what_was_met_and_what_was_missed_follows_from_the_files(
    folder: Path, rng: np.random.Generator
) -> None:
    (folder / "lasers.csv").write_text(lines(0.104, "0.1", 4.5))
    table = summary_of(rng)
    table.resolution_nm = 51.0

    rows = outcomes(gather(folder), table)

    assert rows["frames"].outcome == "met"
    assert rows["frames localized"].outcome == "missed"
    assert (rows["frames lost"].measured, rows["frames lost"].outcome) == ("10", "missed")
    assert rows["raw frames recorded"].outcome == "met"
    assert rows["frames per second"].measured == "98"
    assert rows["emitters per frame and µm²"].outcome == "met"
    assert (rows["resolution (FRC)"].asked, rows["resolution (FRC)"].outcome) == ("40 nm", "missed")
    assert rows["localizations"].outcome == "met"
    assert rows["power of uv"].outcome == "met"
    assert rows["PSF width"].measured == "143 nm in the data"


@pytest.mark.parametrize(
    ("density", "target", "power", "what", "outcome"),
    [
        (0.2, "0.1", 4.5, "emitters per frame and µm²", "missed"),
        (0.2, "", 4.5, "emitters per frame and µm²", ""),
        (0.1, "0.1", 6.0, "power of uv", "missed"),
    ],
)
def test_a_density_beside_its_target_or_a_power_above_its_cap_is_missed(
    folder: Path, rng: np.random.Generator, density: float, target: str, power: float,
    what: str, outcome: str,
) -> None:  # fmt: skip
    (folder / "lasers.csv").write_text(lines(density, target, power))

    assert outcomes(gather(folder), summary_of(rng))[what].outcome == outcome


def test_nothing_is_asked_of_a_run_whose_settings_are_gone(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    run = gather(tmp_path)

    assert run.settings == {}
    assert "run.toml cannot be read" in run.settings_text
    assert [row.what for row in asked_of(run, {}, summary_of(rng), {})] == []


def test_the_density_is_shown_with_estimate_and_target(
    folder: Path, rng: np.random.Generator
) -> None:
    (folder / "lasers.csv").write_text(lines(0.104, "0.1", 4.5))

    figure = sections.density(gather(folder), summary_of(rng), 100)

    for label in ("localizations", "estimate of the loop", "target"):
        assert label in figure
    assert "class='aim'" in figure


def test_a_laser_file_that_is_cut_gives_its_whole_rows_and_its_trips(tmp_path: Path) -> None:
    path = tmp_path / "lasers.csv"
    trip = ",3,uv,trip,,,mW,,,,,,,,,no frames for 3 s\n"
    path.write_text(lines(0.1, "", 2.0) + trip + ",99,uv,set,1,2")

    story = lasers_of(path)

    assert story.traces["uv"].power == [2.0] * 21
    assert story.trips == ["uv: no frames for 3 s"]
    assert len(story.estimate) == 20
    assert all(math.isnan(target) for target in story.target)


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("frame,dx_nm,dy_nm,dz_nm\n0,0,0,0\n10,1,2,0\n", ["x", "y"]),
        ("frame,dx_nm,dy_nm,dz_nm\n0,0,0,0\n10,1,2,3\n", ["x", "y", "z"]),
        ("# made by\nframe,x_nm\n0,0\n10,5\n20", ["x"]),
    ],
)
def test_drift_has_the_axes_that_moved(tmp_path: Path, text: str, axes: list[str]) -> None:
    (tmp_path / "drift.csv").write_text(text)

    found = drift_of(tmp_path / "drift.csv")

    assert found is not None
    assert list(found.axes_nm) == axes
    assert found.frame.tolist() == [0, 10]


@pytest.mark.parametrize("text", ["", "frame,x_nm\n", "a,b\n1,2\n", "x_nm,y_nm\n1,2\n", "\0\xff"])
def test_what_is_no_drift_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "drift.csv").write_text(text)

    assert drift_of(tmp_path / "drift.csv") is None
    assert drift_of(tmp_path / "missing.csv") is None


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "{'a': 1}", "[" * 100_000])
def test_what_is_no_json_object_is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "statistics.json").write_text(text)

    assert json_of(tmp_path / "statistics.json") == {}


def test_names_and_units_are_read_as_words() -> None:
    values = {
        "on_time_frames": 3.25, "n_emitters": 12_000, "method": "AIM", "taken_off": True,
        "density_per_um2": 0.5, "parts": {"rms_nm": 2.0}, "list": [1],
    }  # fmt: skip

    assert list(sections.named_values(values)) == [
        ("on time", "3.25 frames"),
        ("n emitters", "12\u202f000"),
        ("method", "AIM"),
        ("taken off", "yes"),
        ("density", "0.5 per µm²"),
        ("parts rms", "2 nm"),
    ]


def test_statistics_have_their_sections(folder: Path) -> None:
    stated = {
        "drift": {"method": "redundant cross-correlation", "taken_off": False},
        "linking": {"on_time_frames": 2.5},
        "resolution": {"decorrelation_nm": 44.0},
    }
    (folder / "statistics.json").write_text(json.dumps(stated))
    (folder / "drift.csv").write_text("frame,dx_nm,dy_nm,dz_nm\n0,0,0,0\n10,12,2,0\n")
    run = gather(folder)

    assert "<td>on time</td><td>2.5 frames</td>" in sections.linking(run.statistics)
    assert "12.0 nm" in sections.drift(run)
    assert "<td>decorrelation</td><td>44 nm</td>" in sections.resolution(
        TableSummary(), run.statistics
    )
    text = methods_section(run, LEDGER, TableSummary())
    assert "cross-correlation [" in text
    assert "and not taken off" in text
    assert "Wang, Y." in text


def test_the_curve_of_the_resolution_falls_to_its_threshold() -> None:
    table = TableSummary(resolution_nm=40.0, nena_nm=7.5, correlation_bin_nm=5.0, field_um2=50.0)
    table.correlation = np.exp(-np.linspace(0, 8, 500))
    table.n_rows = 5000

    figure = sections.resolution(table, {})

    for text in ("40 nm", "7.5 nm", "1/7", "<td>100</td>"):
        assert text in figure
    assert sections.resolution(TableSummary(), {}) == ""


def test_histograms_are_shown_of_what_is_known(rng: np.random.Generator) -> None:
    shown = sections.quality(summary_of(rng))
    bare = TableSummary()
    columns = {"frame": np.zeros(9), "x_nm": np.zeros(9), "y_nm": np.zeros(9)}
    bare.add(Localizations.from_columns({**columns, "photons": np.full(9, 500.0)}))

    for title in ("photons per localization", "stated precision", "background", "depth"):
        assert title in shown
    assert "median 8.5 nm" in shown
    assert "photons per localization" in sections.quality(bare)
    assert "depth" not in sections.quality(bare)
    assert "background" not in sections.quality(bare)


def test_frames_are_accounted_for_with_their_numbers() -> None:
    text = accounts.frames(LEDGER, FrameCounts(saturated_pixels=7, saturated_frames=3))

    assert "<td>lost</td><td>5, 20–28</td>" in text
    assert "<td>skipped</td><td>40–43</td>" in text
    assert "saturated pixels, over all frames" in text
    assert "of one value" not in text
    assert accounts.frames({}, None) == ""


def test_a_long_list_of_gaps_is_shortened() -> None:
    gaps = [[k, k] for k in range(0, 60, 2)]

    text = accounts.frames({**LEDGER, "ranges": {"lost": gaps}}, None)

    assert "and 18 more" in text


def test_latency_model_and_localizer_have_tables() -> None:
    assert "6.00 ms" in accounts.latency(
        {"total": {"p50": 1.0, "p95": 2.0, "p99": 6.0, "max": 9.0}}
    )
    assert accounts.latency({}) == accounts.model({}) == accounts.localizers({}) == ""
    model = accounts.model({"verdict": "model ok", "chi2": None, "remark": "a <remark>"})
    assert "too little seen" in model
    assert "a &lt;remark&gt;" in model
    localizers = accounts.localizers(LEDGER)
    assert "900 frames/s" in localizers
    assert "98 frames/s" in localizers


def test_a_movie_is_described_with_what_differs() -> None:
    account = MovieAccount(read=28, present=30, stated=(StatedFrames("the OME-XML", 30),))

    text = accounts.movie(account, {"path": "a.tif", "format": "OME-TIFF"})

    assert "stated by the OME-XML" in text
    assert "OME-TIFF" in text
    assert accounts.movie(None, {}) == ""


def test_the_methods_of_a_steered_run_say_what_was_used(
    folder: Path, rng: np.random.Generator
) -> None:
    text = methods_section(gather(folder), LEDGER, summary_of(rng))

    for words in (
        "100 frames of 10 ms were recorded with Ixon, controlled by Micro-Manager [1]",
        "the neural network flagship-2d (version", "an EM gain of 100", "OME-Zarr [3]",
        "Lone emitters were fitted by maximum likelihood", "were then fitted together",
        "was steered to hold 0.1 emitters", "Drift was not corrected", "8.5 nm per axis",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(
    ("name", "works"),
    [
        ("gaussian-mle", ["Smith"]),
        ("astigmatic-mle", ["Smith", "Science 319"]),
        ("spline-mle", ["Smith", "Babcock"]),
        ("decode", ["Speiser"]),
        ("deepstorm3d", ["Nehme"]),
        ("smnet", ["Zhang, P."]),
        ("my-lab-fit", []),
    ],
)
def test_every_localizer_brings_its_own_works(folder: Path, name: str, works: list[str]) -> None:
    ledger = {"received": 10, "localizers": [{"name": name, "label": name, "from_frame": 0}]}

    text = methods_section(gather(folder), ledger, TableSummary())

    listed = text[text.index("Please cite") :]
    for work in works:
        assert work in listed
    for other in {"Smith", "Science 319", "Speiser", "Nehme", "Zhang, P."} - set(works):
        assert other not in listed
    assert works or name in text


def test_works_are_numbered_in_the_order_in_which_they_are_cited() -> None:
    sources = Citations("0.1.0")

    assert sources.cite("frc") == " [1]"
    assert sources.own() == " [2]"
    assert sources.cite("mle", "frc") == " [3, 1]"
    assert sources.cite("nothing") == ""
    listed = sources.as_list()
    assert listed.index("Nieuwenhuizen") < listed.index("rtsmlm 0.1.0") < listed.index("Smith")
    assert "href='https://doi.org/10.1038/nmeth.2448'" in listed


def test_a_page_lists_the_sections_that_it_has_and_escapes_its_texts() -> None:
    page = whole_page(
        "<b>", "about & more", "fine", [("a", "First", "<p>1</p>"), ("b", "Second", "")],
        good=False, head=["<p>head</p>"],
    )  # fmt: skip

    assert "<a href='#a'>First</a>" in page
    assert "Second" not in page
    assert "<title>&lt;b&gt;</title>" in page
    assert "about &amp; more" in page
    assert "verdict bad" in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


def test_the_summary_knows_its_last_frame(rng: np.random.Generator) -> None:
    table = summary_of(rng)

    assert table.last_frame == 99
    assert TableSummary().last_frame == -1
    assert median_of(table.photons, table.PHOTON_EDGES) == pytest.approx(1000, rel=0.06)
