"""The sections of the report, each as HTML; empty where there is nothing to show."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.resolution import THRESHOLD
from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.run.charts import figure, table_of
from rtsmlm.files.run.pages import PERCENTILES, note, time_text
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.offline.report.asked import Asked
from rtsmlm.offline.report.gathered import Gathered
from rtsmlm.offline.report.plots import Line, histogram, line_plot, share_bar
from rtsmlm.offline.report.style import hint, wide
from rtsmlm.offline.report.summary import TableSummary, median_of

F64 = NDArray[np.float64]

_MOST_IMAGE_BYTES = 4 << 20
_MOST_RANGES = 12


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
        words.append(f"pixels of {table.preview_pixel_nm:.3g} nm on this page")
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
        shown = f"{median:.3g}" if median < 1000 else figure(median)
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
        rows.append(("localizations per µm², mean of the field", f"{per_um2:.3g}"))
    stated = statistics.get("resolution")
    if isinstance(stated, Mapping):
        rows += list(named_values(stated))
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
    return charts(chart) + wide(table_of(("axis", "range", "rms"), rows)) + wide(more)


def linking(statistics: Mapping[str, object]) -> str:
    """Return what is known of blinking and bleaching; nothing where emitters were not linked."""
    rest = {k: v for k, v in statistics.items() if k not in ("drift", "resolution")}
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
    "in_ring": "in the ring when it was last counted",
}
"""Shown where they are not 0."""
_COUNTS = {
    "saturated_pixels": "saturated pixels, over all frames",
    "saturated_frames": "with saturated pixels",
    "constant_frames": "of one value",
    "repeated_frames": "equal to the one before",
}
"""Shown where they are not 0."""


def frames(ledger: Mapping[str, object], counts: FrameCounts | None) -> str:
    """Return what became of every frame."""
    totals = [(label, ledger[name]) for name, label in _TOTALS.items() if name in ledger]
    totals += [(label, ledger[name]) for name, label in _RARE_TOTALS.items() if ledger.get(name)]
    totals += [(label, n) for name, label in _COUNTS.items() if (n := getattr(counts, name, 0))]

    if not totals:
        return ""

    def n_of(name: str) -> int:
        value = ledger.get(name)
        return value if isinstance(value, int) else 0

    bar = share_bar(
        "of all frames that the camera numbered",
        (
            ("s0", "localized", n_of("localized")),
            ("s3", "skipped", n_of("skipped")),
            ("s1", "lost", n_of("lost") + n_of("lost_in_cut")),
        ),
    )
    words = hint("Received = localized + skipped; lost frames never reached rtsmlm.")
    listed = _ranges(ledger)
    return words + bar + wide(table_of(("", "frames"), totals)) + listed


def _ranges(ledger: Mapping[str, object]) -> str:
    """Return the numbers of the frames that are missing, as far as they are listed."""
    ranges, rows = ledger.get("ranges"), []
    if not isinstance(ranges, Mapping):
        return ""
    for name in ("lost", "skipped", "lost_in_cut"):
        pairs = ranges.get(name)
        if not isinstance(pairs, list) or not pairs:
            continue
        texts = [
            str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}–{pair[1]}"
            for pair in pairs[:_MOST_RANGES]
            if isinstance(pair, list) and len(pair) == 2
        ]
        more = f", and {len(pairs) - _MOST_RANGES} more" if len(pairs) > _MOST_RANGES else ""
        rows.append((name.replace("_", " "), ", ".join(texts) + more))
    return wide(table_of(("frames", "numbers"), rows), "text") if rows else ""


def latency(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Return the percentiles of every stage; nothing where frames came from no camera."""
    rows = [
        (name, *(time_text(float(stage[p])) if p in stage else "" for p in PERCENTILES))
        for name, stage in latency_ms.items()
        if isinstance(stage, Mapping)
    ]
    if not rows:
        return ""
    words = hint(
        "From the end of an exposure to the stage named; 99 of 100 frames were not later than p99."
    )
    return words + wide(table_of(("stage", *PERCENTILES), rows))


_VALIDITY = (
    ("verdict", "verdict"),
    ("spots", "spots fitted once more"),
    ("width_ratio", "their width over the PSF in force"),
    ("chi2", "chi² per degree of freedom, width free"),
    ("noise_ratio", "noise of the background over that expected"),
    ("repeat_std", "way between two frames over that stated"),
    ("gridding", "largest unevenness of places within the pixel"),
)


def model(validity: Mapping[str, object]) -> str:
    """Return whether PSF, camera and model fit the data; nothing where it was not looked at."""
    if not validity:
        return ""
    figures = [
        (label, "too little seen" if validity[name] is None else validity[name])
        for name, label in _VALIDITY
        if name in validity
    ]
    remark = f"<p>{escape(str(validity['remark']))}</p>" if validity.get("remark") else ""
    words = hint("Ratios near 1 mean that the data look as the model expects.")
    return remark + words + wide(table_of(("", "figure"), figures))


_LOCALIZER = ("from frame", "localizer", "PSF width", "rate measured before", "camera", "why")


def localizers(ledger: Mapping[str, object]) -> str:
    """Return which localizer was in force from which frame on."""
    noted = ledger.get("localizers")
    rows = (
        [_localizer_row(n) for n in noted if isinstance(n, Mapping)]
        if isinstance(noted, list)
        else []
    )
    return wide(table_of(_LOCALIZER, rows), "text") if rows else ""


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


def movie(account: MovieAccount | None, described: Mapping[str, object]) -> str:
    """Return the account of the movie that was reconstructed, and what is known of it."""
    text = wide(table_of(("", ""), [(k, str(v)) for k, v in described.items()]), "text")
    if account is None:
        return text if described else ""
    found = [(f"stated by {stated.source}", stated.frames) for stated in account.stated]
    rows = [*found, ("present", account.present), ("read", account.read)]
    fine = "<p>nothing differs, nothing is left out</p>"
    differences = "".join(map(note, account.differences)) or fine
    return wide(table_of(("frames", ""), rows)) + differences + (text if described else "")


def settings(run: Gathered) -> str:
    """Return versions, machine, and the settings in force."""
    versions, machine = run.part("run", "versions"), run.part("run", "machine")
    rows = [(name, str(version)) for name, version in versions.items()]
    rows += [(name, str(value)) for name, value in machine.items()]
    table = wide(table_of(("", ""), rows), "text") if rows else ""
    return (
        f"{table}<details><summary>settings in force (run.toml)</summary>"
        f"<pre>{escape(run.settings_text)}</pre></details>"
    )
