"""`write_report`: puts the page of a run together and writes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rtsmlm.errors import number_text
from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.run.charts import figure
from rtsmlm.files.run.folder import write_text
from rtsmlm.files.run.pages import note, time_text
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.offline.report import accounts, sections
from rtsmlm.offline.report.asked import asked_of
from rtsmlm.offline.report.gathered import Gathered, gather
from rtsmlm.offline.report.methods import methods_section
from rtsmlm.offline.report.style import tile, whole_page
from rtsmlm.offline.report.summary import TableSummary, median_of


def write_report(
    folder: Path,
    *,
    title: str,
    verdict: str,
    good: bool,
    notes: Sequence[str],
    ledger: Mapping[str, object],
    latency_ms: Mapping[str, Mapping[str, float]],
    validity: Mapping[str, object],
    n_frames: int,
    table: TableSummary,
    counts: FrameCounts | None = None,
    account: MovieAccount | None = None,
) -> Path:
    """Write the page of a run, and return its path.

    Parameters
    ----------
    folder
        The run folder; the page shows its `run.toml`, `lasers.csv`, `drift.csv`,
        `statistics.json` and image, and needs none of them afterwards.
    title
        Heading.
    verdict
        One line about the ledger.
    good
        Whether the run did what it was asked.
    notes
        Warnings and failures, one sentence each.
    ledger
        Counts of the run, by the names of `LedgerTotals`, and its `localizers`.
    latency_ms
        Summary per stage; empty where frames did not come from a camera.
    validity
        Figures of the validity meter; empty where it was off.
    n_frames
        Number of frames that the camera numbered.
    table
        What is to be shown of the localizations.
    counts
        Saturated pixels, and frames of one value or repeated; None where they were not counted.
    account
        Of the movie that was reconstructed; None for a run with a camera.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    run = gather(folder)
    described = run.part("run", "movie")
    parts = [
        ("asked", "What was asked and what was measured",
         sections.asked_table(asked_of(run, ledger, table, validity))),
        ("density", "Density", sections.density(run, table, n_frames)),
        ("laser", "Laser", sections.lasers(run)),
        ("quality", "Photons and precision", sections.quality(table)),
        ("resolution", "Resolution", sections.resolution(table, run.statistics)),
        ("drift", "Drift", sections.drift(run)),
        ("blinking", "Linked emitters", sections.linking(run.statistics)),
        ("frames", "Frames", accounts.frames(ledger, counts)),
        ("latency", "Latency", accounts.latency(latency_ms)),
        ("model", "Does the model fit the data?", accounts.model(validity)),
        ("localizer", "Localizer", accounts.localizers(ledger)),
        ("movie", "The movie", accounts.movie(account, described)),
        ("methods", "Methods", methods_section(run, ledger, table)),
        ("settings", "Settings and versions", accounts.settings(run)),
    ]  # fmt: skip
    head = [
        *map(note, notes),
        f"<div class='tiles'>{''.join(_tiles(run, ledger, latency_ms, table))}</div>",
        sections.picture(run, table),
    ]
    page = whole_page(title, _about(run), verdict, parts, good=good, head=head)
    path = folder / "report.html"
    write_text(path, page)
    return path


def _about(run: Gathered) -> str:
    """Return sample, operator, notes, date and version in one line."""
    experiment, about = run.part("experiment"), run.part("run")
    words = [str(experiment[k]) for k in ("sample", "operator", "notes") if experiment.get(k)]
    if started := about.get("started"):
        words.append(str(started).replace("T", " "))
    if version := run.part("run", "versions").get("rtsmlm"):
        words.append(f"rtsmlm {version}")
    return " · ".join(words)


def _tiles(
    run: Gathered,
    ledger: Mapping[str, object],
    latency_ms: Mapping[str, Mapping[str, float]],
    table: TableSummary,
) -> Iterator[str]:
    """Yield the figures that are seen first."""
    yield tile(figure(table.n_rows), "localizations")
    received, localized = ledger.get("received"), ledger.get("localized")
    if isinstance(received, int) and isinstance(localized, int):
        yield tile(figure(received), f"frames received, {figure(localized)} localized")
    photons = median_of(table.photons, table.PHOTON_EDGES)
    if math.isfinite(photons):
        yield tile(figure(round(photons)), "photons, median")
    precision_nm = median_of(table.precision, table.PRECISION_EDGES_NM)
    if math.isfinite(precision_nm):
        yield tile(f"{precision_nm:.1f} nm", "stated precision, median")
    if math.isfinite(table.resolution_nm):
        yield tile(f"{table.resolution_nm:.0f} nm", "resolution (FRC)")
    if run.lasers.estimate:
        late = run.lasers.estimate[len(run.lasers.estimate) // 2 :]
        yield tile(number_text(float(np.median(late))), "emitters per frame and µm²")
    total = latency_ms.get("total")
    if isinstance(total, Mapping) and isinstance(total.get("p99"), int | float):
        yield tile(time_text(total["p99"]), "from exposure to result, p99")
