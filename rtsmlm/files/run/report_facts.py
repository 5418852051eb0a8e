"""What a report shows of its run folder: settings, sample, date, laser power, and the image."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.run.charts import line_chart
from rtsmlm.files.run.laser_log import read_laser_log

_MOST_IMAGE_BYTES = 4 << 20
_MOST_POINTS = 500


def settings_text(folder: Path) -> str:
    """Return the text of `run.toml`; a page without it is better than none."""
    try:
        return (folder / "run.toml").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"run.toml cannot be read: {error.strerror or error}"


def facts(text: str) -> Iterator[tuple[str, str]]:
    """Yield what is known of a run beside its figures: sample, operator, notes, date, versions.

    Parameters
    ----------
    text
        Of `run.toml`.
    """
    try:
        data = tomllib.loads(text)
    except ValueError:
        return
    experiment, run = _part(data, "experiment"), _part(data, "run")
    for name in ("sample", "operator", "notes"):
        if stated := experiment.get(name):
            yield name, str(stated)
    for name in ("started", "written"):
        if when := run.get(name):
            yield name, str(when).replace("T", " ")
    versions, machine = _part(run, "versions"), _part(run, "machine")
    if version := versions.get("rtsmlm"):
        yield "version", f"rtsmlm {version}, Python {versions.get('python', '?')}"
    if machine:
        yield (
            "computer",
            ", ".join(str(machine[k]) for k in ("processor", "system") if k in machine),
        )


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def image_tag(folder: Path, png: bytes) -> str:
    """Return the image of a run as a part of the page, so that the page can be sent alone.

    Parameters
    ----------
    folder
        The run folder, whose `image.png` is taken where there is no smaller one.
    png
        A PNG file made for the page; empty if there is none.
    """
    if not png:
        try:
            if (folder / "image.png").stat().st_size <= _MOST_IMAGE_BYTES:
                png = (folder / "image.png").read_bytes()
        except OSError:
            return ""
    if not png:
        return ""
    data = base64.b64encode(png).decode("ascii")
    return f"<p><img src='data:image/png;base64,{data}' alt='super-resolution image'></p>"


def laser_charts(folder: Path) -> list[str]:
    """Return the power of each laser over the time of a run, from `lasers.csv`."""
    curves: dict[str, tuple[list[float], list[float], str]] = {}
    try:
        for row in read_laser_log(folder / "lasers.csv"):
            value = row["sent"] or row["measured"]
            if not row["t_s"] or not value:
                continue
            t_s, powers, _ = curves.setdefault(row["actuator"], ([], [], row["unit"]))
            t_s.append(float(row["t_s"]))
            powers.append(float(value))
    except (FileFormatError, ValueError):  # none was written, or it was cut in the middle
        pass
    charts = []
    for name, (t_s, powers, unit) in curves.items():
        chosen = np.unique(np.linspace(0, len(t_s) - 1, _MOST_POINTS).astype(int))
        # A power stays until the next command.
        x, y = np.array(t_s)[chosen].repeat(2)[1:], np.array(powers)[chosen].repeat(2)[:-1]
        charts.append(line_chart(f"power of {escape(name)} in {unit}", "s", x, np.maximum(y, 0)))
    return charts
