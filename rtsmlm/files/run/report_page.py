"""`report.html`: one page that summarizes a run; no script, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.run.charts import bar_chart, line_chart, table_of
from rtsmlm.files.run.folder import write_text
from rtsmlm.files.run.pages import latency_section, note, page, section
from rtsmlm.localizations import Localizations


@dataclass
class TableSummary:
    """What the page shows of a table, gathered batch by batch: four bytes per frame."""

    n_rows: int = 0
    per_frame: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1024, np.int32))
    """Rows by frame number; longer than the run."""
    photons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(60, np.int64))
    precision: NDArray[np.int64] = field(default_factory=lambda: np.zeros(60, np.int64))

    PHOTON_EDGES = np.geomspace(30, 30_000, 61)
    PRECISION_EDGES_NM = np.linspace(0, 60, 61)

    def add(self, table: Localizations) -> None:
        """Count the rows of one batch."""
        self.n_rows += len(table)
        last = int(table.frame.max(initial=-1))
        if last >= len(self.per_frame):
            longer = np.zeros(2 * last + 1, np.int32)
            longer[: len(self.per_frame)] = self.per_frame
            self.per_frame = longer
        np.add.at(self.per_frame, table.frame, 1)
        self.photons += np.histogram(table.photons, self.PHOTON_EDGES)[0]
        precision = (table.std_x_nm + table.std_y_nm) / 2
        self.precision += np.histogram(precision, self.PRECISION_EDGES_NM)[0]


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
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    folder
        The run folder; the page shows its `image.png` and `run.toml`.
    title
        Heading.
    verdict
        One line about the ledger.
    good
        Whether the run did what it was asked.
    notes
        Warnings and failures, one sentence each.
    ledger
        Counts of the run, by the names of `LedgerTotals`.
    latency_ms
        Summary per stage; empty where frames did not come from a camera.
    validity
        Figures of the validity meter; empty where it was off.
    n_frames
        Number of frames that the camera numbered.
    table
        What is to be shown of the localizations.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    settings = (folder / "run.toml").read_text(encoding="utf-8")
    totals = ((name, ledger[name]) for name in _TOTALS if name in ledger)
    parts = [
        *map(note, notes),
        "<p><img src='image.png' alt='super-resolution image'></p>",
        "<div class='charts'>",
        line_chart("emitters per frame", "frame", *_per_frame(table, n_frames)),
        bar_chart("photons per localization", "photons", table.photons, table.PHOTON_EDGES),
        bar_chart("stated precision", "nm", table.precision, table.PRECISION_EDGES_NM),
        "</div>",
        section("Frames", table_of(("", "frames"), totals)),
    ]
    if latency_ms:
        parts.append(latency_section(latency_ms))
    if validity:
        figures = ((label, _figure_of(validity[name])) for name, label in _VALIDITY)
        parts.append(section("Does the model fit the data?", table_of(("", "figure"), figures)))
    parts.append(section("Settings in force", f"<pre>{escape(settings)}</pre>"))
    write_text(folder / "report.html", page(title, verdict, parts, good=good))


_TOTALS = ("camera", "received", "recorded", "localized", "caught_up", "skipped", "lost")
_VALIDITY = (
    ("verdict", "verdict"),
    ("spots", "spots fitted once more"),
    ("width_ratio", "their width over the PSF in force"),
    ("chi2", "chi² per degree of freedom, width free"),
    ("noise_ratio", "noise of the background over that expected"),
    ("repeat_std", "way between two frames over that stated"),
    ("gridding", "largest unevenness of places within the pixel"),
)


def _figure_of(value: object) -> object:
    return "too little seen" if value is None else value


def _per_frame(table: TableSummary, n_frames: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return frame numbers and the mean count around them, at most 250 points."""
    counts = np.zeros(max(n_frames, 1))
    known = table.per_frame[:n_frames]
    counts[: len(known)] = known
    edges = np.linspace(0, len(counts), min(len(counts), 250) + 1).astype(np.int64)
    sums = np.add.reduceat(counts, edges[:-1])
    return edges[:-1].astype(np.float64), sums / np.diff(edges)
