"""The sections of the report on what was measured, as HTML; empty with nothing to show."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.resolution import THRESHOLD
from rtsmlm.errors import number_text
from rtsmlm.files.run.charts import figure, table_of
from rtsmlm.files.run.pages import note
from rtsmlm.offline.report.asked import Asked
from rtsmlm.offline.report.gathered import Gathered
from rtsmlm.offline.report.plots import Line, histogram, line_plot
from rtsmlm.offline.report.style import hint, wide
from rtsmlm.offline.report.summary import TableSummary, median_of

F64 = NDArray[np.float64]

_MOST_IMAGE_BYTES = 4 << 20


def charts(*figures: str) -> str:
    """Return charts side by side; nothing where all are empty."""
    shown = "".join(figures)
    return f"<div class='charts'>{shown}</div>" if shown else ""


def picture(run: Gathered, table: TableSummary) -> str:
    """Return the image of a run as a part of the page, so that the page can be sent alone."""
    png = table.preview_png
    if not png:
        try:
            if (run.folder / "image.png").stat().st_size <= _MOST_IMAGE_BYTES:
                png = (run.folder / "image.png").read_bytes()
        except OSError:
            return ""
    if not png:
        return ""
    data = base64.b64encode(png).decode("ascii")
    words = [f"{figure(table.n_rows)} localizations" if table.n_rows else ""]
    if math.isfinite(table.preview_pixel_nm):
        words.append(f"pixels of {number_text(table.preview_pixel_nm)} nm on this page")
    words.append("brighter where more were found; image.tif has every pixel, to measure in")
    caption = "; ".join(word for word in words if word)
    return (
        f"<figure class='picture'><img src='data:image/png;base64,{data}' "
        f"alt='super-resolution image'><figcaption>{escape(caption)}</figcaption></figure>"
    )


def asked_table(rows: Sequence[Asked]) -> str:
    """Return what was asked beside what was measured."""
    if not rows:
        return ""
    words = {"met": "✓ met", "missed": "✗ missed", "": ""}
    cells = "".join(
        f"<tr><td>{escape(row.what)}</td><td>{escape(row.asked)}</td>"
        f"<td>{escape(row.measured)}</td><td class='{row.outcome}'>{words[row.outcome]}</td></tr>"
        for row in rows
    )
    head = "<tr><th></th><th>asked</th><th>measured</th><th></th></tr>"
    return wide(f"<table>{head}{cells}</table>", "text")


def density(run: Gathered, table: TableSummary, n_frames: int) -> str:
    """Return the emitters over the frames, with estimate and target of the loop where it ran."""
    frames, count = table.per_frame(n_frames)
    area = table.field_um2
    is_area_known = math.isfinite(area) and area > 0
    found = count / area if is_area_known else count
    lines = [Line("localizations", frames, found)] if table.n_rows else []
    story = run.lasers
    if is_area_known and story.frame:
        order = np.argsort(story.frame, kind="stable")
        at = np.array(story.frame)[order]
        lines.append(Line("estimate of the loop", at, np.array(story.estimate)[order], "s1"))
        lines.append(Line("target", at, np.array(story.target)[order], "aim"))
    unit = "per frame and µm²" if is_area_known else "per frame"
    return charts(line_plot(f"emitters {unit}", "frame", f"emitters {unit}", lines))


def lasers(run: Gathered) -> str:
    """Return the power of each laser over time, and why any was switched off."""
    figures = []
    for name, trace in run.lasers.traces.items():
        line = Line(name, np.array(trace.t_s), np.maximum(trace.power, 0.0), is_stepped=True)
        label = f"power in {trace.unit}"
        figures.append(line_plot(f"power of {name} in {trace.unit}", "time in s", label, [line]))
    return "".join(note(reason) for reason in run.lasers.trips[:5]) + charts(*figures)


def quality(table: TableSummary) -> str:
    """Return histograms of what the table states of its rows."""

    def marked(counts: NDArray[np.int64], edges: F64, unit: str) -> tuple[str, float]:
        median = median_of(counts, edges)
        shown = figure(median)
        return f"median {shown} {unit}".strip(), median

    photons = histogram(
        "photons per localization", "photons", table.photons, table.PHOTON_EDGES, is_log=True,
        mark=marked(table.photons, table.PHOTON_EDGES, ""),
    )  # fmt: skip
    precision = histogram(
        "stated precision", "standard deviation per axis in nm", table.precision,
        table.PRECISION_EDGES_NM, mark=marked(table.precision, table.PRECISION_EDGES_NM, "nm"),
    )  # fmt: skip
    # All in the lowest bin is what a method without a background leaves.
    is_known = bool(table.background[1:].any())
    background = histogram(
        "background", "photons per pixel", table.background, table.PHOTON_EDGES, is_log=True,
        mark=marked(table.background, table.PHOTON_EDGES, ""),
    ) if is_known else ""  # fmt: skip
    depth = histogram("depth", "z in nm", table.z, table.Z_EDGES_NM)
    return charts(photons, precision, background, depth)


_SHOWN_BY_TABLE = ("frc_nm", "nena_nm")
"""Figures of `statistics.json` that the page measures on the table, or has from there."""


def resolution(table: TableSummary, statistics: Mapping[str, object]) -> str:
    """Return the Fourier ring correlation as a curve, and every measure of resolution."""
    n = len(table.correlation)
    chart = ""
    if n > 1 and np.isfinite(table.correlation).any():
        per_um = np.arange(n) / (n - 1) / (2 * table.correlation_bin_nm) * 1000
        curve = Line("correlation", per_um, _smoothed(table.correlation))
        limit = Line("1/7", per_um, np.full(n, THRESHOLD), "aim")
        title = "Fourier ring correlation"
        chart = line_plot(title, "spatial frequency in 1/µm", "correlation", [curve, limit])
    rows = []
    if math.isfinite(table.resolution_nm):
        rows.append(("Fourier ring correlation", f"{table.resolution_nm:.0f} nm"))
    if math.isfinite(table.nena_nm):
        rows.append(("precision by repeated localizations (NeNA)", f"{table.nena_nm:.1f} nm"))
    if math.isfinite(table.field_um2) and table.n_rows:
        per_um2 = table.n_rows / table.field_um2
        rows.append(("localizations per µm², mean of the field", number_text(per_um2)))
    stated = statistics.get("resolution")
    if isinstance(stated, Mapping):
        rows += list(named_values({k: v for k, v in stated.items() if k not in _SHOWN_BY_TABLE}))
    if not chart and not rows:
        return ""
    words = hint(
        "Images of every other block of frames are compared: structures finer than the resolution "
        "differ between them."
    )
    return words + charts(chart) + wide(table_of(("", ""), rows))


def _smoothed(curve: F64) -> F64:
    width = max(len(curve) // 200, 1)
    known = np.where(np.isfinite(curve), curve, 0.0)
    return np.convolve(known, np.ones(width) / width, "same")


def drift(run: Gathered) -> str:
    """Return how the sample moved; nothing where no drift was measured."""
    found = run.drift
    if found is None:
        return ""
    lines = [
        Line(axis, found.frame, values, f"s{'xyz'.index(axis)}")
        for axis, values in found.axes_nm.items()
    ]
    chart = line_plot("drift of the sample", "frame", "nm", lines, from_zero=False, least_span=10.0)
    rows = [
        (axis, f"{np.nanmax(values) - np.nanmin(values):.1f} nm", f"{np.nanstd(values):.1f} nm")
        for axis, values in found.axes_nm.items()
    ]
    stated = run.statistics.get("drift")
    more = table_of(("", ""), named_values(stated)) if isinstance(stated, Mapping) else ""
    return charts(chart) + wide(table_of(("axis", "range", "rms"), rows)) + wide(more, "text")


def linking(statistics: Mapping[str, object]) -> str:
    """Return what is known of blinking and bleaching; nothing where emitters were not linked."""
    linked = statistics.get("linking")
    rest = {k: v for k, v in statistics.items() if k not in ("drift", "resolution", "linking")}
    rest |= linked if isinstance(linked, Mapping) else {}
    rows = list(named_values(rest))
    return wide(table_of(("", ""), rows), "text") if rows else ""


_UNITS = ("nm", "ms", "s", "frames", "photons", "per_um2", "um2", "px", "mw")


def named_values(values: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names and values of an object as a person reads them: on time, 35.1 ms."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from named_values(value, f"{before}{name}_")
            continue
        whole = f"{before}{name}"
        unit = next((unit for unit in _UNITS if whole.endswith(f"_{unit}")), "")
        words = whole.removesuffix(f"_{unit}") if unit else whole
        shown = unit.replace("per_um2", "per µm²").replace("um2", "µm²")
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, int | float):
            text = figure(value)
        elif isinstance(value, str):
            text, shown = value, ""
        else:
            continue
        yield words.replace("_", " "), f"{text} {shown}".strip()
