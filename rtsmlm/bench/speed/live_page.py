"""The tables of `rtsmlm bench live`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtsmlm.bench.speed.live import ALL, ONE, LiveRun
from rtsmlm.bench.speed.page import Cells, Table, number

INTRODUCTION = """# Live: what camera and recorder cost beside the localizer

Made by `{command}`
with rtsmlm {version} on {machine}: runs as `rtsmlm live` has them, without a window, in turn.
Localizer: {localizer}; frames of {size} pixels from {camera}.
"""

PACED_NOTE = """Memory: frames that the camera took before, so that the rows differ in what makes
the frames and in the raw file alone. Latency is from the end of the exposure to the published
localization over the whole run, its first second included. The last columns are the time of cores
per frame: of the session, with simulator, acquisition and recorder, and of the analysis. Less is
better in all columns."""

BACKLOG_NOTE = """Frames from memory as fast as they are localized, the faster of two runs, more
is better. One core: all threads of session and analysis are bound to it, and the localizer takes
one thread. The localizer alone is given batches of frames in one process, without ring, table and
stream; the fastest of several rounds in which one thread and all take turns."""

_CORE_MS = ("session, core ms", "analysis, core ms")

COST_NOTE = """Differences of the rows above. Latency grows where the cores have no time left."""


def paced_table(runs: Sequence[LiveRun]) -> Table:
    """Return latency and cost at the rate of the camera."""
    headings = ["frames from", "raw file", "skipped", "p50 ms", "p99 ms", *_CORE_MS]
    rows = [
        [
            run.source,
            "yes" if run.raw else "no",
            str(run.skipped),
            *map(number, (run.p50_ms, run.p99_ms)),
            *map(number, (run.core_ms["session"], run.core_ms["analysis"])),
        ]
        for run in runs
    ]
    return Table(f"At {number(runs[0].asked_per_s)} frames/s", PACED_NOTE, headings, rows)


def cost_table(runs: Sequence[LiveRun]) -> Table:
    """Return what the camera and the raw file cost: differences between the paced runs."""
    by_kind = {(run.source, run.raw): run for run in runs}
    before = by_kind["memory", False]
    parts = {
        "raw file": by_kind["memory", True],
        "camera": by_kind["camera", False],
        "camera and raw file": by_kind["camera", True],
    }
    rows = [
        [
            name,
            _signed(run.p99_ms - before.p99_ms),
            *(_signed(_more(run, before, process)) for process in ("session", "analysis")),
        ]
        for name, run in parts.items()
    ]
    return Table("What that adds", COST_NOTE, ["part", "p99 ms", *_CORE_MS], rows)


def backlog_table(runs: Sequence[LiveRun], alone_ms: Mapping[str, float]) -> Table:
    """Return throughput with one core and with all, of whole runs and of the localizer."""
    least = min(run.cores for run in runs)
    base = next((run for run in runs if run.cores == least and not run.raw), runs[0])
    rows: list[Cells] = []
    for run in runs:
        ratio = run.frames_per_s / base.frames_per_s
        what = "run with a raw file" if run.raw else "run"
        rows.append([what, str(run.cores), number(run.frames_per_s), number(ratio)])
    cores = {ONE: least, ALL: max(run.cores for run in runs)}
    for way, ms in alone_ms.items():
        ratio = alone_ms[ONE] / ms
        rows.append(["localizer alone", str(cores[way]), number(1e3 / ms), number(ratio)])
    headings = ["what", "cores", "frames/s", "times one core"]
    return Table("In a backlog", BACKLOG_NOTE, headings, rows)


def live_page(tables: Sequence[Table], facts: Mapping[str, str], notes: Sequence[str]) -> str:
    """Return the page.

    Parameters
    ----------
    tables
        In their order.
    facts
        What `INTRODUCTION` names, and `versions`.
    notes
        What a reader should know.
    """
    parts = [INTRODUCTION.format(**facts)]
    for table in tables:
        parts += [f"## {table.title}\n", table.about + "\n", table.markdown()]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in notes))
    parts.append(f"## Versions\n\n{facts['versions']}\n")
    return "\n".join(parts)


def _more(run: LiveRun, before: LiveRun, process: str) -> float | None:
    """Return how much more time of cores a frame takes; None where that is not known."""
    spent, earlier = run.core_ms[process], before.core_ms[process]
    return None if spent is None or earlier is None else spent - earlier


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
