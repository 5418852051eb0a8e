"""`rtsmlm evaluate`: how well do localizations agree with a ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from rtsmlm.analysis import metrics
from rtsmlm.analysis.matching import Method
from rtsmlm.cli.console import console
from rtsmlm.errors import SinkError
from rtsmlm.files.run.state import cut_note
from rtsmlm.files.tables.read import Table, read_table
from rtsmlm.localizations import Localizations

DEFAULT = metrics.Protocol()
AXIAL_NM = 500.0


def evaluate(
    locs: Annotated[
        Path,
        typer.Argument(help="Localizations: a run folder or a table of any known format."),
    ],
    truth: Annotated[
        Path, typer.Argument(help="True emitters: a challenge csv or any table format.")
    ],
    pixel_nm: Annotated[
        float | None,
        typer.Option(
            min=1e-3,
            help="Camera pixel in nm, where no file states it. Text tables need it.",
        ),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    radius_nm: Annotated[
        float, typer.Option(min=1e-3, help="Largest lateral distance of a match.")
    ] = DEFAULT.radius_nm,
    axial_nm: Annotated[
        float,
        typer.Option(min=1e-3, help="Largest axial distance, where both tables have z."),
    ] = AXIAL_NM,
    border_nm: Annotated[
        float, typer.Option(min=0, help="Margin of the field in which nothing is counted.")
    ] = DEFAULT.border_nm,
    method: Annotated[
        Method,
        typer.Option(help="Nearest pairs first (greedy), or the optimal assignment."),
    ] = DEFAULT.method,
    brightest: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1,
            help="Count this part of the emitters only; 0.75 ranks the challenge.",
        ),
    ] = 1.0,
    subtract_offset: Annotated[
        bool, typer.Option(help="Take off the median offset before scoring.")
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Compare the first so many frames only.")
    ] = None,
    ignore_z: Annotated[bool, typer.Option(help="Compare x and y only.")] = False,
) -> None:
    """Score localizations against a ground truth, after the SMLM-2016 protocol."""
    table = read_table(locs, pixel_nm)
    true_table = read_table(truth, pixel_nm or _pixel_nm(table))
    notes = [note for path in (locs, truth) if (note := cut_note(path)) is not None]
    notes += [*table.notes, *true_table.notes]
    n_frames, found, emitters = _same_frames(table, true_table, frames, notes)
    field = _field(table, true_table, border_nm, notes)
    axial = not ignore_z and all(metrics.has_axial(rows) for rows in (found, emitters))
    protocol = metrics.Protocol(
        radius_nm=radius_nm,
        axial_nm=axial_nm if axial else None,
        border_nm=border_nm,
        method=method,
        dimmest_dropped=1 - brightest,
        subtract_offset=subtract_offset,
    )
    result = metrics.evaluate(found, emitters, field, protocol, n_frames)
    if not result.n_truth:
        notes.append("no emitter lies inside the border; a smaller --border-nm may help")
    console.print(_as_rich_table(result, protocol))
    for note in notes:
        console.print(f"- {escape(note)}")
    if json_path is not None:
        _write_json(json_path, result, protocol, field, notes)


def _pixel_nm(table: Table) -> float | None:
    """Return the camera pixel that a table states."""
    value = table.metadata.get("pixel_nm")
    return float(value) if value else None


def _same_frames(
    table: Table, true_table: Table, frames: int | None, notes: list[str]
) -> tuple[int, Localizations, Localizations]:
    """Cut both tables to the frames that were analysed, and name what that leaves out."""
    found, emitters = table.localizations, true_table.localizations
    last = [int(rows.frame.max(initial=-1)) for rows in (found, emitters)]
    stated = table.metadata.get("n_frames")
    n_frames = frames or (max(int(stated), last[0] + 1) if stated else max(last) + 1)
    beyond = int((emitters.frame >= n_frames).sum())
    if beyond:
        notes.append(f"{beyond} emitters after the {n_frames} analysed frames are left out")
    if not frames and not stated and last[1] > last[0]:
        notes.append(
            f"the last localization is in frame {last[0]}, the last emitter in frame {last[1]}: "
            "those after it count as missed; --frames restricts the comparison"
        )
    late = int(((found.frame > last[1]) & (found.frame < n_frames)).sum())
    if late:
        notes.append(
            f"{late} localizations after the last emitter (frame {last[1]}) count as false; "
            "--frames restricts the comparison"
        )
    return (
        n_frames,
        found.take(found.frame < n_frames),
        emitters.take(emitters.frame < n_frames),
    )


def _field(table: Table, true_table: Table, border_nm: float, notes: list[str]) -> metrics.Field:
    for source in (table, true_table):
        shape, pixel_nm = source.metadata.get("shape"), _pixel_nm(source)
        if shape and pixel_nm:
            height, width = (int(side) for side in shape)
            return metrics.Field.of_image((height, width), pixel_nm)
    if border_nm:
        notes.append(
            "no table states the size of the field; the border starts at the outermost rows"
        )
    pixel_nm = _pixel_nm(table) or _pixel_nm(true_table)
    return metrics.Field.around(table.localizations, true_table.localizations, pixel_nm=pixel_nm)


def _as_rich_table(result: metrics.Metrics, protocol: metrics.Protocol) -> RichTable:
    rules = f"{protocol.method} within {protocol.radius_nm:g} nm"
    if protocol.axial_nm is not None:
        rules += f", {protocol.axial_nm:g} nm axially"
    rows = RichTable(
        title="Agreement with the ground truth",
        caption=f"{rules}; border {protocol.border_nm:g} nm; {result.n_frames} frames",
    )
    rows.add_column("figure")
    rows.add_column("value", justify="right")
    for name, value, form in (
        ("emitters / localizations", f"{result.n_truth} / {result.n_locs}", ""),
        ("found / false / missed", f"{result.tp} / {result.fp} / {result.fn}", ""),
        ("Jaccard index", result.jaccard, ".4f"),
        ("recall", result.recall, ".4f"),
        ("precision", result.precision, ".4f"),
        ("F1", result.f1, ".4f"),
        ("RMSE lateral", result.rmse_lateral_nm, ".2f nm"),
        ("RMSE axial", result.rmse_axial_nm, ".2f nm"),
        ("efficiency lateral", result.efficiency_lateral, ".2f %"),
        ("efficiency 3D", result.efficiency_3d, ".2f %"),
        ("median offset x", result.median_dx_nm, "+.2f nm"),
        ("median offset y", result.median_dy_nm, "+.2f nm"),
        ("median offset z", result.median_dz_nm, "+.2f nm"),
        ("error / stated std", result.std_ratio, ".3f"),
        ("photons / true photons", result.photons_ratio, ".3f"),
    ):
        rows.add_row(name, _formatted(value, form))
    return rows


def _formatted(value: float | str, form: str) -> str:
    if isinstance(value, str):
        return value
    number_form, _, unit = form.partition(" ")
    return "-" if value != value else f"{value:{number_form}} {unit}".rstrip()


def _write_json(
    path: Path,
    result: metrics.Metrics,
    protocol: metrics.Protocol,
    field: metrics.Field,
    notes: list[str],
) -> None:
    figures: dict[str, object] = result.as_dict() | {
        "radius_nm": protocol.radius_nm,
        "axial_nm": protocol.axial_nm,
        "border_nm": protocol.border_nm,
        "matching": protocol.method,
        "brightest": 1 - protocol.dimmest_dropped,
        "offset_subtracted": protocol.subtract_offset,
        "field_nm": [field.x_min_nm, field.y_min_nm, field.x_max_nm, field.y_max_nm],
        "notes": notes,
        "units": "jaccard, recall, precision, f1: 0..1; efficiencies: percent; null: not defined",
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error
