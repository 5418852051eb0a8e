"""The page of a run is made again from whatever its folder holds, and says what is missing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.rebuild import rebuild_report

N_FRAMES = 400
TOML = """
[experiment]
sample = "COS-7"
[camera]
driver = "micromanager"
pixel_nm = 100.0
[acquisition]
frames = 400
exposure_ms = 10.0
[record]
raw = true
[localizer]
name = "gaussian-mle"
[run]
started = "2026-03-01T10:00:00+01:00"
verdict = "ledger balances"
warnings = ["the disk is slow"]
failures = []
[run.camera]
name = "SimCamera"
[run.versions]
rtsmlm = "0.1.0"
"""
LEDGER = {
    "state": "finished", "camera": 400, "received": 400, "recorded": 400, "localized": 398,
    "skipped": 2, "lost": 0, "ranges": {"skipped": [[7, 8]], "lost": []},
}  # fmt: skip
LASERS = (
    "time_utc,t_s,actuator,kind,wanted,sent,unit,measured,dose,frame,latency_ms,"
    "estimate_per_um2,std_per_um2,target_per_um2,state,reason\n"
    + "".join(f",{k},uv,set,1,{k}.5,mW,,,{k * 40},,0.05,,0.05,,\n" for k in range(10))
)


@pytest.fixture
def run(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a whole run folder."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.settings.write_text(TOML, encoding="utf-8")
    folder.ledger.write_text(json.dumps(LEDGER), encoding="utf-8")
    folder.latency.write_text(json.dumps({"total": {"p50": 4.0, "p95": 5.0, "p99": 6.0, "max": 9}}))
    folder.validity.write_text(json.dumps({"verdict": "model ok", "width_ratio": 1.01}))
    folder.lasers.write_text(LASERS, encoding="utf-8")
    metadata = {"pixel_nm": 100.0, "shape": [64, 48]}
    with ArrowStreamFile(folder.localizations, metadata) as file:
        for start in range(0, N_FRAMES, 16):
            n = 40
            file.put(
                Localizations.from_columns(
                    {
                        "frame": np.sort(rng.integers(start, start + 16, n)),
                        "x_nm": rng.uniform(0, 4700, n),
                        "y_nm": rng.uniform(0, 6300, n),
                        "photons": rng.uniform(500, 600, n),
                        "std_x_nm": np.full(n, 9.0),
                        "std_y_nm": np.full(n, 9.0),
                    }
                )
            )
    return folder.path


def page_of(run: Path) -> str:
    return rebuild_report(run).read_text(encoding="utf-8")


def test_a_whole_run_gets_its_page_again(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    page = page_of(run)

    for text in (
        "ledger balances", "the disk is slow", "COS-7", "data:image/png;base64", "model ok",
        "power of uv in mW", "<td>frames lost</td><td>none</td><td>0</td>", "7\u20138",
        "6.00 ms", "<b>1\u202f000</b><span>localizations</span>",
    ):  # fmt: skip
        assert text in page, text
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "report.html"}
    assert after == before, "nothing but the page is touched"


def test_the_page_of_a_truncated_run_shows_every_row_that_is_whole(run: Path) -> None:
    table, ledger = run / "localizations.arrows", run / "ledger.json"
    whole = table.read_bytes()
    ledger.write_text(json.dumps({**LEDGER, "state": "running", "camera": 300}))
    rng = random.Random(5)

    for _ in range(12):
        table.write_bytes(whole[: rng.randrange(4000, len(whole))])
        n_rows = len(read_arrow_table(table)[0])

        page = page_of(run)

        shown = f"{n_rows:,}".replace(",", "\u202f")
        assert f"<b>{shown}</b><span>localizations</span>" in page
        assert "the run was cut at frame 299" in page


def test_any_file_may_be_missing_cut_or_damaged(run: Path) -> None:
    names = [path.name for path in run.iterdir()]
    whole = {name: (run / name).read_bytes() for name in names}
    rng = random.Random(1)

    for _ in range(40):
        for name in rng.sample(names, 3):
            data = whole[name]
            cut = rng.choice([b"", data[: rng.randrange(len(data))], b"\x00\xff{[" + data])
            (run / name).write_bytes(cut)
        if rng.random() < 0.5:
            (run / rng.choice(names)).unlink(missing_ok=True)

        page = page_of(run)

        assert page.rstrip().endswith("</html>")
        for name, data in whole.items():
            (run / name).write_bytes(data)


def test_a_run_without_its_ledger_says_so(run: Path) -> None:
    (run / "ledger.json").unlink()

    page = page_of(run)

    assert "ledger.json is missing or damaged" in page
    assert "class='verdict bad'" in page


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        rebuild_report(tmp_path)


def test_drift_and_linked_emitters_are_shown_where_they_were_measured(run: Path) -> None:
    lines = [f"{k * 10},{k * 0.5},{-k * 0.25},nan" for k in range(40)]
    (run / "drift.csv").write_text("frame,x_nm,y_nm,z_nm\n" + "\n".join(lines) + "\n400,2")
    (run / "statistics.json").write_text(
        json.dumps({"on_time_ms": 31.25, "drift": {"method": "AIM", "rms_nm": 2.5}})
    )

    page = page_of(run)

    assert "drift of the sample" in page
    assert "<td>x</td><td>19.5 nm</td>" in page
    assert "<td>on time</td><td>31.2 ms</td>" in page
    assert "by AIM" in page
    assert "adaptive intersection maximization" in page


def test_only_what_was_used_is_cited(run: Path) -> None:
    page = page_of(run)
    assert "Edelstein" in page, "its camera belongs to Micro-Manager"
    assert "single-molecule localization that achieves theoretically minimum" in page
    for work in ("Speiser", "astigm", "eadm7765", "comet"):
        assert work not in page

    settings = run / "run.toml"
    text = settings.read_text().replace("gaussian-mle", "decode").replace("micromanager", "replay")
    settings.write_text(text)
    page = page_of(run)

    assert "Speiser" in page
    assert "Edelstein" not in page
    assert "theoretically minimum" not in page
