"""The page of a run: true figures, nothing executed, nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.files.run.charts import figure
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.report.write import write_report


def table(rng: np.random.Generator, n: int) -> Localizations:
    return Localizations.from_columns(
        {
            "frame": np.sort(rng.integers(0, 100, n)),
            "x_nm": rng.uniform(0, 1000, n),
            "y_nm": rng.uniform(0, 1000, n),
            "photons": rng.uniform(500, 600, n),
            "std_x_nm": np.full(n, 9.0),
            "std_y_nm": np.full(n, 11.0),
        }
    )


def test_the_summary_counts_every_row_once_whatever_the_batches(rng: np.random.Generator) -> None:
    whole, parts, rows = TableSummary(), TableSummary(), table(rng, 1000)
    whole.add(rows)
    for start in range(0, 1000, 130):
        parts.add(rows.take(slice(start, start + 130)))

    assert whole.n_rows == parts.n_rows == parts.per_bin.sum() == 1000
    assert np.array_equal(whole.per_bin, parts.per_bin)
    assert whole.per_bin[:100].sum() == 1000
    assert whole.photons.sum() == 1000
    assert np.flatnonzero(whole.precision).tolist() == [10], "all at 10 nm"


def test_the_page_shows_the_figures_and_escapes_what_it_was_given(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text("[camera]\npixel_nm = 100\n")
    summary = TableSummary()
    summary.add(table(rng, 500))

    write_report(
        tmp_path,
        title="run <script>alert(1)</script>",
        verdict="ledger balances: 100 received",
        good=True,
        notes=["the disk & the <b>camera</b>"],
        ledger={"camera": 100, "received": 100, "localized": 98, "skipped": 2, "lost": 0},
        latency_ms={"total": {"p50": 4.25, "p95": 6.0, "p99": 7.75, "max": 20.0}},
        validity={
            "verdict": "model: PSF too narrow",
            "spots": 812,
            "width_ratio": 1.12,
            "chi2": 1.0,
            "noise_ratio": None,
            "repeat_std": 1.02,
            "gridding": 0.08,
        },
        n_frames=100,
        table=summary,
    )

    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert not re.search(r"<link|<iframe|url\(|@import|src='(?!data:)", page), "nothing is fetched"
    assert "PSF too narrow" in page
    assert "too little seen" in page
    assert "ledger balances: 100 received" in page
    assert "<td>localized</td><td>98</td>" in page
    assert "<td>7.75 ms</td>" in page
    assert "the disk &amp; the &lt;b&gt;" in page


def test_an_empty_run_still_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("")

    write_report(
        tmp_path, title="empty", verdict="no frames", good=False, notes=[], ledger={},
        latency_ms={}, validity={}, n_frames=0, table=TableSummary(),
    )  # fmt: skip

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "no frames" in page
    assert "<h2>Methods</h2>" in page


@pytest.mark.parametrize("corrupt", [3_000_000_000, 2**62, 2**63 - 1])
def test_one_corrupt_frame_number_costs_neither_memory_nor_the_page(
    rng: np.random.Generator, tmp_path: Path, corrupt: int
) -> None:
    (tmp_path / "run.toml").write_text("[camera]\npixel_nm = 100\n")
    rows = table(rng, 500)
    rows.frame[-1] = corrupt
    summary = TableSummary()
    summary.add(rows)

    write_report(
        tmp_path, title="", verdict="", good=True, notes=[], ledger={}, latency_ms={},
        validity={}, n_frames=corrupt + 1, table=summary,
    )  # fmt: skip

    assert summary.per_bin.nbytes < 100_000
    assert summary.per_bin.sum() == 500
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_page_without_settings_is_written_all_the_same(tmp_path: Path) -> None:
    write_report(
        tmp_path, title="", verdict="cut", good=False, notes=[], ledger={"other_size": 3},
        latency_ms={}, validity={}, n_frames=0, table=TableSummary(),
    )  # fmt: skip

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "run.toml cannot be read" in page
    assert "received but of another size" in page


def test_the_page_can_be_sent_alone_and_says_whose_run_it_was(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(
        "[experiment]\nsample = 'COS-7 <3>'\noperator = 'AB'\n"
        "[run]\nstarted = '2026-03-01T10:00:00+01:00'\n[run.versions]\nrtsmlm = '0.1.0'\n"
    )
    (tmp_path / "lasers.csv").write_text(
        "time_utc,t_s,actuator,kind,wanted,sent,unit,measured,dose,frame,latency_ms,"
        "estimate_per_um2,std_per_um2,target_per_um2,state,reason\n"
        + "".join(f",{t},uv,set,1,{t},mW,,,,,,,,,\n" for t in range(1, 8))
    )
    summary = TableSummary(preview_png=b"picture", resolution_nm=31.7)
    summary.add(table(rng, 1234))

    write_report(
        tmp_path,
        title="run",
        verdict="ledger balances",
        good=True,
        notes=[],
        ledger={"camera": 35_000, "received": 35_000, "caught_up": 12},
        latency_ms={"total": {"p50": 427.0, "p95": 999.4, "p99": 6760.0, "max": 7730.0}},
        validity={},
        n_frames=35_000,
        table=summary,
    )

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "src='data:image/png;base64,cGljdHVyZQ=='" in page
    assert "image.png" not in page
    for text in ("COS-7 &lt;3&gt;", "AB", "2026-03-01 10:00:00", "rtsmlm 0.1.0", "32 nm"):
        assert text in page
    assert "<b>1\u202f234</b><span>localizations</span>" in page
    assert "35\u202f000" in page
    assert "caught_up" not in page
    assert "6.76 s" in page
    assert "power of uv in mW" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(35_000, "35\u202f000"), (1e9, "1\u202f000\u202f000\u202f000"), (0.12345, "0.123"), (0, "0")],
)
def test_a_figure_is_written_as_a_person_writes_it(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize("photons", [0.3, 40.0, 44_000.0, 3e8])
def test_no_row_is_left_out_of_the_charts_however_bright_or_vague_it_is(photons: float) -> None:
    summary = TableSummary()
    columns = {"photons": [photons], "std_x_nm": [photons], "std_y_nm": [photons]}
    rows = {name: np.array(values) for name, values in columns.items()}
    summary.add(
        Localizations.from_columns(
            {"frame": np.zeros(1, np.int64), "x_nm": np.ones(1), "y_nm": np.ones(1), **rows}
        )
    )

    assert summary.photons.sum() == summary.precision.sum() == summary.n_rows == 1
