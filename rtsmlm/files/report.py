"""`report.html`: one page to look at after a run; no script, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.run_folder import write_text
from rtsmlm.localizations import Localizations

_WIDTH, _HEIGHT, _MARGIN = 520, 150, 34

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1120px;padding:0 1rem;
color:#222;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
.good{color:#126b2f}.bad{color:#a11}.note{color:#7a5600}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:right}
td:first-child,th:first-child{text-align:left}
.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.85rem}
img{width:100%;max-width:720px;background:#000}
svg{background:#fafafa}polyline{fill:none;stroke:#1f5fa8;stroke-width:1.5}
rect{fill:#1f5fa8}text{font:11px system-ui,sans-serif;fill:#555}
pre{background:#f5f5f5;padding:.8rem;overflow:auto;max-height:24rem;font-size:.8rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}svg,pre{background:#222}
text{fill:#aaa}polyline{stroke:#7fb2ee}rect{fill:#7fb2ee}.good{color:#6fce8b}.bad{color:#f88}
.note{color:#e5b95c}}
"""


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
    ledger: Mapping[str, Any],
    latency_ms: Mapping[str, Mapping[str, float]],
    validity: Mapping[str, Any],
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
        The totals of the run.
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
    parts = [
        f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p class='{'good' if good else 'bad'}'>{escape(verdict)}</p>",
        *(f"<p class='note'>{escape(note)}</p>" for note in notes),
        "<p><img src='image.png' alt='super-resolution image'></p>",
        "<div class='charts'>",
        _line_chart("emitters per frame", "frame", _per_frame(table, n_frames)),
        _bar_chart("photons per localization", "photons", table.photons, table.PHOTON_EDGES),
        _bar_chart("stated precision", "nm", table.precision, table.PRECISION_EDGES_NM),
        "</div>",
        "<h2>Frames</h2>",
        _rows(("", "frames"), ((name, ledger[name]) for name in _TOTALS if name in ledger)),
    ]
    if latency_ms:
        stages = ((name, *(s[p] for p in _PERCENTILES)) for name, s in latency_ms.items())
        parts += ["<h2>Latency in ms</h2>", _rows(("stage", *_PERCENTILES), stages)]
    if validity:
        figures = ((label, _figure_of(validity[name])) for name, label in _VALIDITY)
        parts += ["<h2>Does the model fit the data?</h2>", _rows(("", "figure"), figures)]
    parts += ["<h2>Settings in force</h2>", f"<pre>{escape(settings)}</pre>"]
    write_text(folder / "report.html", "\n".join(parts) + "\n")


_TOTALS = ("camera", "received", "recorded", "localized", "caught_up", "skipped", "lost")
_PERCENTILES = ("p50", "p95", "p99", "max")
_VALIDITY = (
    ("verdict", "verdict"),
    ("spots", "spots fitted once more"),
    ("width_ratio", "their width over the PSF in force"),
    ("chi2", "chi² per degree of freedom, width free"),
    ("noise_ratio", "noise of the background over that expected"),
    ("repeat_std", "way between two frames over that stated"),
    ("gridding", "largest unevenness of places within the pixel"),
)


def _figure_of(value: Any) -> Any:
    return "too little seen" if value is None else value


def _per_frame(table: TableSummary, n_frames: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return frame numbers and the mean count around them, at most 250 points."""
    counts = np.zeros(max(n_frames, 1))
    known = table.per_frame[:n_frames]
    counts[: len(known)] = known
    edges = np.linspace(0, len(counts), min(len(counts), 250) + 1).astype(np.int64)
    sums = np.add.reduceat(counts, edges[:-1])
    return edges[:-1].astype(np.float64), sums / np.diff(edges)


def _line_chart(
    title: str, unit: str, points: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> str:
    x, y = points
    top = max(float(y.max(initial=0)), 1e-9)
    left, right = float(x[0]), max(float(x[-1]), float(x[0]) + 1)
    px = _MARGIN + (x - left) / (right - left) * (_WIDTH - 2 * _MARGIN)
    py = _HEIGHT - _MARGIN - y / top * (_HEIGHT - 2 * _MARGIN)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
    return _figure(title, unit, f"<polyline points='{line}'/>", (left, right), top)


def _bar_chart(title: str, unit: str, counts: NDArray[np.int64], edges: NDArray[np.float64]) -> str:
    top = max(int(counts.max(initial=0)), 1)
    step = (_WIDTH - 2 * _MARGIN) / len(counts)
    bars = []
    for k, count in enumerate(counts.tolist()):
        height = count / top * (_HEIGHT - 2 * _MARGIN)
        x, y = _MARGIN + k * step, _HEIGHT - _MARGIN - height
        size = f"width='{step - 1:.1f}' height='{height:.1f}'"
        bars.append(f"<rect x='{x:.1f}' y='{y:.1f}' {size}/>")
    return _figure(title, unit, "".join(bars), (edges[0], edges[-1]), top)


def _figure(title: str, unit: str, marks: str, ends: tuple[float, float], top: float) -> str:
    base = _HEIGHT - _MARGIN + 16
    labels = (
        f"<text x='{_MARGIN}' y='{base}'>{ends[0]:g}</text>"
        f"<text x='{_WIDTH - _MARGIN}' y='{base}' text-anchor='end'>{ends[1]:g} {unit}</text>"
        f"<text x='{_MARGIN}' y='{_MARGIN - 8}'>{top:.3g}</text>"
    )
    size = f"width='{_WIDTH}' height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}'"
    drawing = f"<svg {size}>{marks}{labels}</svg>"
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawing}</figure>"


def _rows(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def text(value: Any) -> str:
        return f"{value:.2f}" if isinstance(value, float) else escape(str(value))

    head = "".join(f"<th>{escape(name)}</th>" for name in heading)
    body = "".join("<tr>" + "".join(f"<td>{text(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
