"""docs/models.md: results in, Markdown out."""

from __future__ import annotations

from rtsmlm.bench.models.entrants import COMPUTED
from rtsmlm.bench.models.page_text import (
    ABOUT,
    CHART,
    ENTER,
    INTRODUCTION,
    MEANING_ROWS,
    MEASURED_ALONE,
    REVIEW,
    SPEED,
)
from rtsmlm.bench.models.results import FORMAT, Results
from rtsmlm.bench.models.row_sets import DEPTH
from rtsmlm.bench.models.tables import speed_table, system_table, tables_of
from rtsmlm.bench.speed.page import Table

MEANING = Table(
    "What the figures mean", "", ["figure", "meaning", "good is"], [list(r) for r in MEANING_ROWS]
)


def page(results: Results, chart: str | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    results
        What was measured.
    chart
        Path of the picture as seen from the page; None without one.
    """
    shown = [section for section in ABOUT if tables_of(section, results)]
    parts = [INTRODUCTION.format(**_facts(results, shown))]
    if chart is not None:
        parts.append(CHART.format(chart=chart))
    systems = system_table(results)
    parts += [f"## {systems.title}\n", REVIEW + "\n", systems.markdown()]
    parts += [f"## {MEANING.title}\n", MEANING.markdown(), MEASURED_ALONE]
    for section in shown:
        parts += [f"## {section}\n", ABOUT[section].format(**_about(results)) + "\n"]
        tables = tables_of(section, results)
        for table in tables:
            parts += [f"### {table.title}\n"] if len(tables) > 1 else []
            parts.append(table.markdown())
    speeds = speed_table(results)
    parts += [f"## {speeds.title}\n", SPEED.format(engines=_engines(results)) + "\n"]
    parts += [speeds.markdown(), ENTER.format(format=FORMAT)]
    if results.notes:
        parts.append("## What is left out\n\n" + "".join(f"- {note}\n" for note in results.notes))
    return "\n".join(parts)


def _facts(results: Results, shown: list[str]) -> dict[str, str]:
    machine, load = results.machine, results.machine.load
    data = (
        "The reference data of others were there."
        if results.has_data
        else "**The reference data were not there: simulated sets alone.**"
    )
    quick = " Few frames (`--quick`): rough figures." if results.quick else ""
    titles = [*shown, "Size and speed"]
    return {
        "command": results.command,
        "version": results.rtsmlm,
        "processor": machine.processor,
        "cores": str(machine.cores),
        "load": "" if load is None or load < 1.0 else f", beside other work (a load of {load:.0f})",
        "data": data + quick,
        "sections": ", ".join(f"[{title}](#{_anchor(title)})" for title in titles),
    }


def _anchor(title: str) -> str:
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def _about(results: Results) -> dict[str, str]:
    with_data = "that of the beads of the SMLM-2016 challenge"
    shown = {score.model for score in results.scores if score.section == DEPTH}
    others = [m.name for m in results.models if m.psf.startswith(COMPUTED) and m.name in shown]
    return {
        "others": (
            f" For another lens were trained {', '.join(f'`{name}`' for name in others)}: the "
            "next section is theirs."
            if others and results.has_data
            else ""
        ),
        "common": with_data if results.has_data else "computed, with 70 nm of astigmatism",
        "tubules": "12.6 emitters in a frame of 64 x 64 pixels, an EMCCD",
    }


def _engines(results: Results) -> str:
    engines = {speed.engine for speed in results.speeds}
    if "tensorrt" in engines:
        return ""
    return "There was no GPU: torch ran on the CPU, and TensorRT not at all."
