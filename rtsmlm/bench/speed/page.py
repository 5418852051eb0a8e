"""The tables of docs/benchmarks: results of speed in, Markdown out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rtsmlm.bench.accuracy.figures import RADIUS_NM
from rtsmlm.bench.speed.crowd import DENSITY_UM2, FRAMES
from rtsmlm.bench.speed.figures import SpeedResult
from rtsmlm.bench.speed.sweep import FIT, NETWORK, ROUTED, DensityPoint, Sweep
from rtsmlm.errors import number_text
from rtsmlm.realtime.latency import STAGES

Cells: TypeAlias = list[str]

JACCARD_HEADING = f"Jaccard at {DENSITY_UM2:g} per um2"

INTRODUCTION = """# Speed: {size} x {size} pixels, {density} emitters per um2

Made by `{command}`
with rtsmlm {version} on {machine}:
all programs on the same movie in the same run.

Emitters at random places, sigma 1.3 px, 2000 photons, background 20, pixels of 100 nm. Frames go
through the shared-memory ring to the analysis process of a real run, which writes and publishes
the localizations; only the camera driver and the raw file are left out.
"""

THROUGHPUT_NOTE = f"""Frames as fast as the analysis takes them. The sustained rate is the highest
camera rate, in steps of 5 %, at which no frame is skipped and the backlog does not grow. Threads
are those that localize; one more takes the frames in. More is better in all other columns.

The Jaccard index says what a localizer is good for where emitters overlap: of the emitters and
localizations of {FRAMES} unrelated frames with {DENSITY_UM2:g} emitter per um2, the same spots, the
share that are pairs within {RADIUS_NM:g} nm; 1 is perfect."""

LATENCY_NOTE = """Milliseconds from the end of the exposure to the published localizations, less is
better; behind them the median of each step. A frame that is fetched late counts from when it was
due; a network that uses the next frame waits for it. The second rate is the sustained one."""

PEER_NOTE = """Each in a process of its own, timed around its fit call alone with the movie in
memory, the best of three after a first call that does not count; ours pay for ring, table and
stream. "Defaults" are those of smappy; the other rows have a box of 7 pixels, and Picasso the net
gradient at which it finds as many spots as there are emitters, in one row with its own threads or
one for each part of the movie, whichever is faster. The last columns: how many times as fast ours
is; compare rows with the same number of threads. The Jaccard index is that of the best of many
boxes and thresholds, chosen with the truth in hand: as good as the program can be in a crowd.
They are {peers}."""

SIZE_NOTE = """Frames as fast as the analysis takes them, fewer than above, the faster of two
runs. Where Mpixel/s stay the same, large frames are no dearer than small ones."""

ROUTED_NOTE = """Milliseconds per frame in batches of a backlog, less is better: the localizer; its
network on whole frames (`localizer.fit_first=false`); the fit alone, which does not tell emitters
apart that overlap. They take turns, and the fastest of several rounds counts; ring and files are
left out. The ratios are the time of the localizer over that of the other, and the last columns
say where the network looked: at whole frames, and in windows of the others, surroundings included.
{threads}"""

DENSITY_NOTE = """In batches of a backlog, the fastest of several rounds, ring and files left out;
less is better."""


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
    found = [throughput_table(results), latency_table(results)]
    if any(result.peers for result in results):
        found.append(peer_table([result for result in results if result.peers]))
    for result in results:
        if result.sweep is not None:
            found.append(size_table(result.localizer, result.sweep))
            found.append(density_table(result.localizer, result.sweep))
    return found


def throughput_table(results: Sequence[SpeedResult]) -> Table:
    """Return the throughput of all localizers."""
    headings = [
        "localizer",
        "what runs",
        "threads",
        "Mpixel/s",
        "frames/s",
        "found per frame",
        "sustained frames/s",
        JACCARD_HEADING,
    ]
    rows = [
        [
            result.localizer,
            result.runs,
            str(result.threads),
            number(result.mpixel_per_s),
            number(result.flood.frames_per_s),
            number(result.flood.localizations_per_frame),
            number(result.sustained.offered_per_s if result.sustained else None),
            number(result.jaccard),
        ]
        for result in results
    ]
    return Table("Throughput", THROUGHPUT_NOTE, headings, rows)


def latency_table(results: Sequence[SpeedResult]) -> Table:
    """Return latencies at the camera rate that was asked for, and at the sustained one."""
    steps = [stage for stage in STAGES if stage != "total"]
    rows = []
    for result in results:
        runs = [(result.paced_per_s, result.paced)]
        if result.sustained is not None:
            runs.append((result.sustained.offered_per_s, result.sustained))
        for frames_per_s, run in runs:
            figures = [run.latency_ms["total"][name] for name in ("p50", "p95", "p99")]
            figures += [run.latency_ms[step]["p50"] for step in steps]
            rows.append([result.localizer, number(frames_per_s), *map(number, figures)])
    headings = ["localizer", "camera frames/s", "p50 ms", "p95 ms", "p99 ms"]
    headings += [f"{step} ms" for step in steps]
    return Table("Latency", LATENCY_NOTE, headings, rows)


def peer_table(results: Sequence[SpeedResult]) -> Table:
    """Return other programs beside the localizers that were given the same movie."""
    headings = ["program", "settings", "threads", "frames/s", "found per frame", JACCARD_HEADING]
    rows = [
        _program_cells(
            f"rtsmlm {one.localizer}",
            one.runs,
            one.threads,
            one.flood.frames_per_s,
            one.flood.localizations_per_frame,
            one.jaccard,
            results,
        )
        for one in results
    ]
    rows += [
        _program_cells(
            peer.name,
            peer.how,
            peer.threads,
            peer.frames_per_s,
            peer.localizations_per_frame,
            peer.jaccard,
            results,
        )
        for peer in results[0].peers
    ]
    headings += [f"ratio of {result.localizer}" for result in results]
    return Table("Other programs", PEER_NOTE, headings, rows)


def _program_cells(
    name: str,
    how: str,
    threads: int,
    frames_per_s: float,
    per_frame: float,
    jaccard: float,
    results: Sequence[SpeedResult],
) -> Cells:
    figures = [frames_per_s, per_frame, jaccard]
    ratios = [result.flood.frames_per_s / frames_per_s for result in results]
    return [name, how, str(threads), *map(number, figures), *map(number, ratios)]


def size_table(localizer: str, sweep: Sweep) -> Table:
    """Return throughput against size."""
    first = sweep.size[0]
    headings = ["size px", "frames/s", "Mpixel/s", f"of that at {first.size_px} px"]
    rows = [
        [
            str(point.size_px),
            number(point.frames_per_s),
            number(point.mpixel_per_s),
            number(point.mpixel_per_s / first.mpixel_per_s),
        ]
        for point in sweep.size
    ]
    return Table(f"{localizer}: throughput against size", SIZE_NOTE, headings, rows)


def density_table(localizer: str, sweep: Sweep) -> Table:
    """Return cost against density; of a network after a fit, with both of its parts alone."""
    title = f"{localizer}: cost against density"
    if ROUTED not in sweep.threads:
        rows = [_density_cells(point) for point in sweep.density]
        headings = ["emitters per um2", "ms per frame", "ns per pixel", "us per localization"]
        return Table(title, DENSITY_NOTE, headings, rows)
    headings = [
        "emitters per um2",
        f"{localizer}, ms",
        f"{NETWORK}, ms",
        f"{FIT}, ms",
        "to network",
        "to fit",
        "frames whole",
        "area in windows",
    ]
    threads = ", ".join(f"{way} {n}" for way, n in sweep.threads.items())
    about = ROUTED_NOTE.format(threads=f"Threads: {threads}.")
    return Table(title, about, headings, [_routed_cells(point) for point in sweep.density])


def _density_cells(point: DensityPoint) -> Cells:
    (ms,) = point.ms_per_frame.values()
    found = point.localizations_per_frame
    figures = [ms, 1e6 * ms / point.size_px**2, 1e3 * ms / found if found else None]
    return [f"{point.density_um2:g}", *map(number, figures)]


def _routed_cells(point: DensityPoint) -> Cells:
    figures: list[float | None] = [point.ms_per_frame[way] for way in (ROUTED, NETWORK, FIT)]
    figures += [point.ratio(ROUTED, NETWORK), point.ratio(ROUTED, FIT)]
    shares = [point.whole_share or 0.0, point.window_share or 0.0]
    return [
        f"{point.density_um2:g}",
        *map(number, figures),
        *(f"{100 * share:.0f} %" for share in shares),
    ]


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
    return number_text(value, thousands=",")
