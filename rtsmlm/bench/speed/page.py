"""The tables of docs/benchmarks: results of speed in, Markdown out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rtsmlm.bench.speed.figures import Latency, PeerSpeed, SpeedResult, SweepPoint
from rtsmlm.realtime.latency import STAGES

Cells: TypeAlias = list[str]

INTRODUCTION = """# Speed: {size} x {size} pixels, {density} emitters per um2

Made by `{command}`
with rtsmlm {version} on {machine}:
all programs on the same movie in the same run.

Emitters at random places, sigma 1.3 px, 2000 photons, background 20, pixels of 100 nm. Frames go
through the shared-memory ring to the analysis process of a real run, which writes and publishes
the localizations; only the camera driver and the raw file are left out.
"""

THROUGHPUT_NOTE = """Frames as fast as the analysis takes them; localizations per second and per
frame. The sustained rate is the highest
camera rate, in steps of 5 %, at which no frame is skipped and the backlog does not grow."""

LATENCY_NOTE = """Milliseconds; the total is from the end of the exposure to the published
localizations. A frame that is fetched late counts from when it was due; a network that uses the
next frame waits for it."""

PEER_NOTE = """Each in a process of its own, timed around its fit call alone with the movie in
memory, the best of three after a first call that does not count. "Fastest" is a box of 7 pixels,
for Picasso with the net gradient at which it finds as many spots as there are emitters; of
Picasso the faster of one core and all. The ratio is our frames per second over theirs.
They are {peers}."""

SWEEP_NOTE = """Fewer frames than above."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, for the page and for the screen."""

    title: str
    about: str
    headings: Cells
    rows: list[Cells]

    def markdown(self) -> str:
        """Return the table without its title."""
        lines = [self.headings, ["---"] * len(self.headings), *self.rows]
        return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def tables(results: Sequence[SpeedResult]) -> list[Table]:
    """Return all tables in their order."""
    found = [throughput_table(results)]
    for result in results:
        found.append(latency_table(result.localizer, result.paced_per_s, result.paced.latency_ms))
        if (run := result.sustained) is not None:
            found.append(latency_table(result.localizer, run.offered_per_s, run.latency_ms))
    found += [peer_table(result) for result in results if result.peers]
    for result in results:
        if result.sweep is not None:
            found.append(sweep_table(f"{result.localizer}: cost against size", result.sweep.size))
            about = f"{result.localizer}: cost against density"
            found.append(sweep_table(about, result.sweep.density))
    return found


def throughput_table(results: Sequence[SpeedResult]) -> Table:
    """Return the throughput of all localizers."""
    headings = [
        "localizer",
        "engine",
        "Mpixel/s",
        "frames/s",
        "localizations/s",
        "per frame",
        "sustained frames/s",
    ]
    rows = [
        [
            result.localizer,
            result.engine,
            number(result.point.mpixel_per_s),
            number(result.flood.frames_per_s),
            number(result.localizations_per_s),
            number(result.flood.localizations_per_frame),
            number(result.sustained.offered_per_s if result.sustained else None),
        ]
        for result in results
    ]
    return Table("Throughput", THROUGHPUT_NOTE, headings, rows)


def latency_table(localizer: str, frames_per_s: float, latency_ms: Latency) -> Table:
    """Return the percentiles of all stages at one camera rate."""
    title = f"{localizer}: latency at {number(frames_per_s)} frames/s"
    rows = [
        [stage, *(number(latency_ms[stage][name]) for name in ("p50", "p95", "p99"))]
        for stage in STAGES
    ]
    headings = ["stage", "p50 ms", "p95 ms", "p99 ms"]
    return Table(title, LATENCY_NOTE, headings, rows)


def peer_table(result: SpeedResult) -> Table:
    """Return other programs beside one localizer."""
    headings = ["program", "settings", "frames/s", "per frame", "ratio"]
    return Table(
        f"{result.localizer} and other programs",
        PEER_NOTE,
        headings,
        [_peer_cells(result, peer) for peer in result.peers],
    )


def _peer_cells(result: SpeedResult, peer: PeerSpeed) -> Cells:
    found = number(peer.localizations_per_frame)
    return [peer.name, peer.how, number(peer.frames_per_s), found, number(result.ratio(peer))]


def sweep_table(title: str, points: Sequence[SweepPoint]) -> Table:
    """Return cost against size or density."""
    headings = [
        "size px",
        "emitters per um2",
        "frames/s",
        "Mpixel/s",
        "ns per pixel",
        "us per localization",
    ]
    rows = [
        [
            str(point.size_px),
            f"{point.density_um2:g}",
            number(point.frames_per_s),
            number(point.mpixel_per_s),
            number(point.ns_per_pixel),
            number(point.us_per_localization),
        ]
        for point in points
    ]
    return Table(title, SWEEP_NOTE, headings, rows)


def page(results: Sequence[SpeedResult], facts: dict[str, str], notes: Sequence[str]) -> str:
    """Return the page.

    Parameters
    ----------
    results
        Of all localizers, on movies of one size and density.
    facts
        `command`, `version`, `machine`, `versions`, and `peers`, names and versions of other
        programs or nothing.
    notes
        What a reader should know.
    """
    first = results[0]
    movie = {"size": str(first.size_px), "density": f"{first.density_um2:g}"}
    parts = [INTRODUCTION.format(**movie, **facts)]
    explained: set[str] = set()
    for table in tables(results):
        parts.append(f"## {table.title}\n")
        if table.about not in explained:
            parts.append(table.about.format(**facts) + "\n")
        explained.add(table.about)
        parts.append(table.markdown())
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in notes))
    parts.append(f"## Versions\n\n{facts['versions']}\n")
    return "\n".join(parts)


def number(value: float | None) -> str:
    """Return a figure with three digits, without an exponent; a dash for none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
