"""hil.json and hil.html: what the drills found, to read and to keep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rtsmlm.files.run.charts import line_chart
from rtsmlm.files.run.folder import machine, versions, write_text
from rtsmlm.files.run.pages import latency_section, note, page, section
from rtsmlm.hil.result import DrillResult

_BAND = 0.2
_STYLE = "td{text-align:left;vertical-align:top}"
_CLASSES = {"passed": "good", "failed": "bad", "not run": "note"}


def write_page(folder: Path, title: str, results: Sequence[DrillResult], gating: str = "") -> None:
    """Write hil.json and hil.html into a folder.

    Parameters
    ----------
    folder
        Where; it is there already.
    title
        Which rig, for the heading.
    results
        In the order in which they were found.
    gating
        Whether the lasers follow the exposure signal, as one sentence.

    Raises
    ------
    SinkError
        If they cannot be written.
    """
    data = {
        "rig": title,
        "passed": not any(result.failed for result in results),
        "gating": gating,
        "results": [result.as_dict() for result in results],
        "machine": machine(),
        "versions": versions(),
    }
    write_text(folder / "hil.json", json.dumps(_plain(data), indent=1, allow_nan=False) + "\n")
    write_text(folder / "hil.html", _page(title, results, gating))


def _plain(value: Any) -> Any:
    """Return the same with None for what JSON does not know: NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(title: str, results: Sequence[DrillResult], gating: str) -> str:
    failed = [result.name for result in results if result.failed]
    verdict = f"failed: {', '.join(failed)}" if failed else "nothing failed"
    parts = [_table(results), note(f"gating of the lasers: {gating}" if gating else "")]
    for result in results:
        if "course" in result.details:
            parts.append(section(result.name, _charts(result.details)))
        if "latency_ms" in result.details:
            parts.append(latency_section(result.details["latency_ms"]))
    return page(title, verdict, parts, good=not failed, more_style=_STYLE)


def _table(results: Sequence[DrillResult]) -> str:
    rows = "".join(
        f"<tr><td>{escape(result.name)}</td>"
        f"<td class='{_CLASSES[result.word]}'>{result.word}</td>"
        f"<td>{escape(result.what)}</td><td>{result.seconds:.1f}</td></tr>"
        for result in results
    )
    return f"<table><tr><th>drill</th><th></th><th>what was found</th><th>s</th></tr>{rows}</table>"


def _charts(details: Mapping[str, Any]) -> str:
    course = {name: np.array(column) for name, column in details["course"].items()}
    t_s, target = course["t_s"], course["target_per_um2"]
    if not len(t_s):
        return note("no estimate came")
    density = line_chart(
        "emitters per frame and um2, target within 20 %",
        "s",
        t_s,
        course["per_um2"],
        band=((1 - _BAND) * target, (1 + _BAND) * target),
    )
    power = line_chart(f"{details['laser']} in {details['unit']}", "s", t_s, course["power"])
    return f"<div class='charts'>{density}{power}</div>"
