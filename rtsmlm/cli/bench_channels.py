"""`rtsmlm bench channels`: precision and crosstalk of two views, and frames per second."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from rtsmlm.bench.channels.measure import PHOTONS, measure
from rtsmlm.bench.channels.scene import measure_scene
from rtsmlm.cli.console import console
from rtsmlm.cli.options import JsonPath
from rtsmlm.files.run.folder import write_text


def channels(
    emitters: Annotated[int, typer.Option(min=100, help="Emitters at each brightness.")] = 4000,
    frames: Annotated[int, typer.Option(min=16, help="Frames for the speed.")] = 320,
    json_path: JsonPath = None,
) -> None:
    """Measure precision and crosstalk of AF647 and CF680 in two views, and frames per second."""
    rng = np.random.default_rng(0)
    table = Table(title="AF647 and CF680 on both sides of 685 nm, 2.5 photons per pixel in each")
    for name in ("photons", "way", "error / nm", "bound / nm", "failed", "crosstalk", "undecided"):
        table.add_column(name, justify="left" if name == "way" else "right")
    figures = []
    with console.status("drawing and fitting"):
        for photons in PHOTONS:
            for one in measure(photons, emitters, rng):
                figures.append(asdict(one))
                table.add_row(
                    f"{one.photons:.0f}",
                    one.way,
                    f"{one.error_nm:.2f}",
                    f"{one.bound_nm:.2f}",
                    f"{100 * one.failed:.2f} %",
                    f"{100 * one.crosstalk:.2f} %",
                    f"{100 * one.undecided:.2f} %",
                )
    console.print(table)
    with console.status("localizing frames"):
        scene = measure_scene(frames)
    console.print(
        f"speed    {scene.frames_per_s:.0f} frames/s of {scene.shape[1]} x {scene.shape[0]} "
        f"pixels in the median, {scene.slowest_per_s:.0f} in the slowest batch, "
        f"{scene.rows_per_frame:.0f} rows a frame, on one core",
        soft_wrap=True,
    )
    console.print(
        f"scene    crosstalk {100 * scene.crosstalk:.2f} %, undecided "
        f"{100 * scene.undecided:.1f} % of the rows of sim_two_colour.toml, overlaps included",
        soft_wrap=True,
    )
    if json_path is not None:
        write_text(json_path, json.dumps({"figures": figures, "scene": asdict(scene)}, indent=1))
