"""`report.html`: one page that summarizes a run; no script, nothing fetched from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.run.charts import bar_chart, line_chart, table_of
from rtsmlm.files.run.folder import write_text
from rtsmlm.files.run.pages import latency_section, note, page, section
from rtsmlm.files.run.report_facts import facts, image_tag, laser_charts, settings_text
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.localizations import Localizations

_BINS = 4096


@dataclass
class TableSummary:
    """What the page shows of a table, gathered batch by batch in memory that does not grow."""

    n_rows: int = 0
    per_bin: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Rows by frame number, in bins of `frames_per_bin` from frame 0."""
    frames_per_bin: int = 1
    """A power of two, so that the bins hold the highest frame number there is."""
    photons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(140, np.int64))
    """Rows by photons, between `PHOTON_EDGES`; what lies beyond is in the outermost bins."""
    precision: NDArray[np.int64] = field(default_factory=lambda: np.zeros(240, np.int64))

    preview_png: bytes = b""
    """The image of the page, a PNG file; empty takes `image.png` of the folder."""
    resolution_nm: float = math.nan
    """Fourier ring correlation of all rows; NaN where it cannot be measured."""

    PHOTON_EDGES = np.geomspace(1.0, 1e7, 141)
    PRECISION_EDGES_NM = np.linspace(0.0, 240.0, 241)

    def add(self, table: Localizations) -> None:
        """Count the rows of one batch."""
        self.n_rows += len(table)
        last = int(table.frame.max(initial=-1))
        while last >= _BINS * self.frames_per_bin:
            self.per_bin[: _BINS // 2] = self.per_bin.reshape(-1, 2).sum(axis=1)
            self.per_bin[_BINS // 2 :] = 0
            self.frames_per_bin *= 2
        numbered = table.frame[table.frame >= 0]  # a damaged table may hold others
        self.per_bin += np.bincount(numbered // self.frames_per_bin, minlength=_BINS)
        self.photons += _counts(table.photons, self.PHOTON_EDGES)
        precision = (table.std_x_nm + table.std_y_nm) / 2
        self.precision += _counts(precision, self.PRECISION_EDGES_NM)


def _counts(values: NDArray[np.floating], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    inside = np.clip(values[np.isfinite(values)].astype(np.float64), edges[0], edges[-1])
    return np.histogram(inside, edges)[0]


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
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    folder
        The run folder; the page shows its `run.toml`, `lasers.csv` and image, and needs none of
        them afterwards.
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
    totals = [(label, ledger[name]) for name, label in _TOTALS.items() if name in ledger]
    totals += [(label, ledger[name]) for name, label in _RARE_TOTALS.items() if ledger.get(name)]
    totals += [(label, n) for name, label in _COUNTS.items() if (n := getattr(counts, name, 0))]
    text = settings_text(folder)
    about: list[tuple[str, object]] = [*facts(text), ("localizations", table.n_rows)]
    if math.isfinite(table.resolution_nm):
        about.append(("resolution (FRC)", f"{table.resolution_nm:.0f} nm"))
    parts = [
        f"<div class='about'>{table_of(('', ''), about)}</div>",
        *map(note, notes),
        image_tag(folder, table.preview_png),
        "<div class='charts'>",
        *laser_charts(folder),
        line_chart("emitters per frame", "frames", *_per_frame(table, n_frames)),
        bar_chart("photons per localization", "photons", table.photons, table.PHOTON_EDGES),
        bar_chart("stated precision", "nm", table.precision, table.PRECISION_EDGES_NM),
        "</div>",
        section("Frames", table_of(("", "frames"), totals)),
    ]
    if isinstance(localizers := ledger.get("localizers"), list) and localizers:
        parts.append(section("Localizer", table_of(_LOCALIZER, map(_localizer_row, localizers))))
    if account is not None:
        found = [(f"stated by {stated.source}", stated.frames) for stated in account.stated]
        rows = [*found, ("present", account.present), ("read", account.read)]
        fine = "<p>nothing differs, nothing is left out</p>"
        differences = [*map(note, account.differences)] or [fine]
        parts.append(section("The movie", table_of(("frames", ""), rows), *differences))
    if latency_ms:
        parts.append(latency_section(latency_ms))
    if validity:
        figures = [(label, _figure_of(validity[name])) for name, label in _VALIDITY]
        remark = f"<p>{escape(str(validity['remark']))}</p>" if validity.get("remark") else ""
        fits = table_of(("", "figure"), figures) + remark
        parts.append(section("Does the model fit the data?", fits))
    parts.append(section("Settings in force", f"<pre>{escape(text)}</pre>"))
    write_text(folder / "report.html", page(title, verdict, parts, good=good))


_TOTALS = {
    "camera": "numbered by the camera",
    "received": "received",
    "recorded": "recorded",
    "localized": "localized",
    "caught_up": "of them after the run",
    "skipped": "skipped",
    "lost": "lost",
}
_RARE_TOTALS = {
    "other_size": "received but of another size",
    "renumbered": "renumbered",
    "lost_in_cut": "lost in the cut",
}
"""Shown where they are not 0."""
_COUNTS = {
    "saturated_pixels": "saturated pixels, over all frames",
    "saturated_frames": "with saturated pixels",
    "constant_frames": "of one value",
    "repeated_frames": "equal to the one before",
}
"""Shown where they are not 0."""
_VALIDITY = (
    ("verdict", "verdict"),
    ("spots", "spots fitted once more"),
    ("width_ratio", "their width over the PSF in force"),
    ("chi2", "chi² per degree of freedom, width free"),
    ("noise_ratio", "noise of the background over that expected"),
    ("repeat_std", "way between two frames over that stated"),
    ("gridding", "largest unevenness of places within the pixel"),
)


_LOCALIZER = ("from frame", "localizer", "PSF width", "rate measured before", "camera", "why")


def _localizer_row(localizer: Mapping[str, object]) -> tuple[object, ...]:
    def number(key: str, unit: str) -> str:
        value = localizer.get(key)
        return f"{value:.0f} {unit}" if isinstance(value, int | float) else "not known"

    return (
        localizer.get("from_frame", ""),
        localizer.get("label", ""),
        number("psf_sigma_nm", "nm"),
        number("frames_per_s", "frames/s"),
        number("camera_frames_per_s", "frames/s"),
        localizer.get("reason", ""),
    )


def _figure_of(value: object) -> object:
    return "too little seen" if value is None else value


def _per_frame(
    table: TableSummary, n_frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frame numbers and the mean count around them, at most 250 points."""
    n_frames = max(n_frames, 1)
    edges = np.floor(np.linspace(0, n_frames, min(n_frames, 250) + 1))
    bins = np.arange(_BINS + 1) * float(table.frames_per_bin)
    rows_before = np.interp(edges, bins, np.concatenate(([0], np.cumsum(table.per_bin))))
    return edges[:-1], np.diff(rows_before) / np.diff(edges)
