"""After the last frame: image and exports of the table, and the accounts of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType

from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.run.statistics import state_statistics
from rtsmlm.files.tables.arrow_file import (
    ArrowStreamFile,
    iter_arrow_batches,
    read_arrow_metadata,
)
from rtsmlm.files.tables.arrow_schema import table_metadata
from rtsmlm.offline.channel_images import channel_names, draw_channels
from rtsmlm.offline.report.measure import measure
from rtsmlm.offline.report.summary import TableSummary
from rtsmlm.offline.report.write import write_report
from rtsmlm.realtime.ledger import Ledger, LedgerState
from rtsmlm.render import Renderer, write_image
from rtsmlm.settings.run import RunSettings


def draw_table(
    table: Path,
    shape: tuple[int, int],
    summary: TableSummary,
    *,
    pixel_nm: float,
    image_pixel_nm: float,
) -> None:
    """Write the image beside the table, one for each channel, and add the table to its summary.

    Parameters
    ----------
    table
        A `localizations.arrows` file.
    shape
        Height and width of the frames in camera pixels, where the table states no other field.
    summary
        Gets every row, also where the image cannot be written.
    pixel_nm
        Camera pixel in the sample plane.
    image_pixel_nm
        Pixel of the image.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    metadata = read_arrow_metadata(table)
    # Rows may lie in a part of the frame: in the first of its views.
    height, width = metadata.get("shape", shape)
    shape = (int(height), int(width))
    renderer = Renderer(shape, pixel_nm, image_pixel_nm, mode="gaussian")
    meter = ResolutionMeter(shape, pixel_nm)
    for part in iter_arrow_batches(table):
        renderer.add(part)
        meter.add(part)
        summary.add(part)
    measure(summary, table, renderer, meter, shape_px=shape, pixel_nm=pixel_nm)
    write_image(table.parent, renderer.image(), renderer.image_pixel_nm)
    figures = replace(meter.figures(), nena_nm=summary.nena_nm)
    state_statistics(table.parent, "resolution", asdict(figures))
    if len(names := channel_names(metadata)) > 1:
        draw_channels(
            table, shape, names, pixel_nm=pixel_nm, image_pixel_nm=renderer.image_pixel_nm
        )


def keep_table(
    table: Path,
    shape: tuple[int, int],
    pixel_nm: float,
    extras: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Write an empty table where the analysis has not written any; see `table_metadata`."""
    if not table.exists():
        metadata = table_metadata(table.parent.name, shape, pixel_nm, None, extras=extras)
        ArrowStreamFile(table, metadata).close()


def write_accounts(
    folder: RunFolder,
    report: RunReport,
    ledger: Ledger,
    settings: RunSettings,
    *,
    camera: Mapping[str, str],
    summary: TableSummary,
    run_step: Callable[[Callable[[], object]], None],
    state: LedgerState = "finished",
    more: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Write ledger, latency, settings and the page of a run; what fails costs itself alone.

    Parameters
    ----------
    folder
        The run folder.
    report
        How the run ended.
    ledger
        What became of every frame.
    settings
        Settings in force.
    camera
        Description of the camera, with its `name`.
    summary
        What the page shows of the localizations.
    run_step
        Calls one step and reports its failure, so that the next is still done.
    state
        What the ledger states of the run.
    more
        Further entries of the ledger.
    """
    totals = report.totals or ledger.totals()
    run = {
        "camera": dict(camera),
        "totals": asdict(totals),
        "verdict": report.verdict,
        "warnings": report.warnings,
        "failures": report.failures,
        "notices": [asdict(notice) for notice in report.notices],
    }

    if report.counts is not None:
        run["pixels"] = asdict(report.counts)
    if localizers := ledger.localizers():
        run["localizers"] = localizers

    def page() -> None:
        write_report(
            folder.path,
            title=f"{folder.path.name}: {camera['name']}",
            verdict=report.verdict,
            good=report.ok,
            notes=[*report.failures, *report.warnings],
            ledger=ledger.as_dict(),
            latency_ms=report.latency_ms,
            validity=report.validity,
            n_frames=totals.camera,
            table=summary,
            counts=report.counts,
        )

    run_step(lambda: folder.write_json(folder.latency, report.latency_ms))
    if report.validity:
        run_step(lambda: folder.write_json(folder.validity, report.validity))
    run_step(lambda: folder.write_settings(settings, run))
    run_step(page)
    # The last of all: a run without it was cut, and can be recovered.
    run_step(lambda: folder.write_json(folder.ledger, ledger.as_dict(state) | dict(more)))
    folder.drop_empty_log()
