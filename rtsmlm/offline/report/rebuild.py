"""`rebuild_report`: the page of a run again, from whatever its folder still holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import RUN_SO_FAR, RunState, read_ledger, run_state
from rtsmlm.files.tables.arrow_file import iter_arrow_batches, read_arrow_metadata
from rtsmlm.files.tables.columns import in_blocks
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.offline.preview import SIDE_PX
from rtsmlm.offline.report.gathered import Gathered, gather, json_of
from rtsmlm.offline.report.measure import measure
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.report.write import write_report
from rtsmlm.realtime.worker import one_line
from rtsmlm.render import Renderer

_FINEST_NM = 5.0


def rebuild_report(path: Path, on_step: Callable[[str], None] = lambda _: None) -> Path:
    """Write `report.html` of a run anew, and return its path; nothing else is touched.

    A run that was cut, or that goes on, gets a page of what is there so far, which says so.

    Parameters
    ----------
    path
        The run folder.
    on_step
        Called with the name of what is being done.

    Raises
    ------
    ConfigError
        If there is no run in the folder.
    SinkError
        If the page cannot be written.
    """
    state = run_state(path)
    folder = RunFolder(path)
    if not any(file.exists() for file in folder.run_files):
        raise ConfigError(f"{path} holds no run; give the folder of one, with its run.toml")
    run, notes = gather(path), _state_notes(state)
    on_step("reading the table")
    table = _summary_of(folder, run, notes)
    ledger = read_ledger(folder) or {}
    if not ledger:
        notes.append("ledger.json is missing or damaged: what became of each frame is not known")
    so_far = _mapping(ledger.get(RUN_SO_FAR))
    about = run.part("run")
    told = [*_texts(about, "failures"), *_texts(about, "warnings"), *_texts(about, "notes")]
    if not told:
        told = _texts(so_far, "messages")
    camera = ledger.get("camera")
    on_step("writing the page")
    return write_report(
        path,
        title=_title(path, run),
        verdict=_verdict(state, about, ledger, table),
        good=state.stage == "ended" and not about.get("failures") and bool(ledger),
        notes=[*notes, *told],
        ledger=ledger,
        latency_ms=json_of(folder.latency) or _mapping(so_far.get("latency_ms")),
        validity=json_of(folder.validity) or _mapping(so_far.get("validity")),
        n_frames=camera if isinstance(camera, int) else table.last_frame + 1,
        table=table,
        counts=_counts(about.get("pixels")),
    )


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _texts(part: Mapping[str, object], name: str) -> list[str]:
    value = part.get(name)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _state_notes(state: RunState) -> list[str]:
    if state.stage == "running":
        return ["this run goes on: the page shows what there is so far"]
    return [state.note] if state.note else []


def _title(path: Path, run: Gathered) -> str:
    camera = run.part("run", "camera").get("name") or run.part("camera").get("driver")
    source = run.part("run", "movie").get("path") or camera
    name = path.resolve().name
    return f"{name}: {source}" if source else name


def _verdict(
    state: RunState, about: Mapping[str, object], ledger: Mapping[str, object], table: TableSummary
) -> str:
    stated = about.get("verdict")
    if isinstance(stated, str) and stated and state.stage != "running":
        return stated
    so_far = f"{table.n_rows} localizations"
    received = ledger.get("received")
    if isinstance(received, int):
        so_far += f", {received} frames received when they were last counted"
    return {"running": f"goes on: {so_far}", "cut": f"cut: {so_far}"}.get(state.stage, so_far)


def _counts(value: object) -> FrameCounts | None:
    names = {field.name for field in fields(FrameCounts)}
    stated = {k: v for k, v in _mapping(value).items() if k in names and isinstance(v, int)}
    return FrameCounts(**stated) if stated else None


def _summary_of(folder: RunFolder, run: Gathered, notes: list[str]) -> TableSummary:
    """Read the table once, block by block; what is wrong with it is added to the notes."""
    summary = TableSummary()
    if not folder.localizations.exists():
        notes.append("localizations.arrows is missing: there is no table")
        return summary
    try:
        metadata = read_arrow_metadata(folder.localizations)
        shape, pixel_nm = _field(metadata, run)
        _read_into(summary, folder.localizations, shape, pixel_nm)
    except FileFormatError as error:
        notes.append(f"{one_line(error)}; the page shows what could be read")
    return summary


def _field(metadata: Mapping[str, object], run: Gathered) -> tuple[tuple[int, int], float]:
    """Return height and width in pixels, and the pixel in nm.

    Raises
    ------
    FileFormatError
        If the table does not state them.
    """
    shape, pixel_nm = metadata.get("shape"), metadata.get("pixel_nm")
    if not isinstance(pixel_nm, int | float):
        pixel_nm = run.number("camera", "pixel_nm")
    if not (isinstance(shape, list) and len(shape) == 2 and pixel_nm > 0):
        raise FileFormatError("localizations.arrows states neither frame size nor pixel")
    return (int(shape[0]), int(shape[1])), float(pixel_nm)


def _read_into(summary: TableSummary, table: Path, shape: tuple[int, int], pixel_nm: float) -> None:
    finest_nm = max(shape) * pixel_nm / SIDE_PX
    renderer = Renderer(shape, pixel_nm, max(finest_nm, _FINEST_NM), mode="gaussian")
    meter = ResolutionMeter(shape, pixel_nm)
    try:
        for rows in in_blocks(iter_arrow_batches(table)):
            summary.add(rows)
            meter.add(rows)
            renderer.add(rows)
    finally:
        # Also of a table that is damaged further on.
        measure(summary, table, renderer, meter, shape_px=shape, pixel_nm=pixel_nm)
