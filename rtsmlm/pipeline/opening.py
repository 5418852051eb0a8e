"""What an analysis states of a run and opens for it: metadata, stream, density meter."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.first_view import FirstView, field_shape
from rtsmlm.engines.colour_localizer import with_dye_names
from rtsmlm.feedback.density.meter import DensityMeter
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_schema import table_metadata
from rtsmlm.pipeline.job import PipelineJob
from rtsmlm.pipeline.localizer import extra_columns_stated
from rtsmlm.protocols import Localizer
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.broadcast import Broadcast
from rtsmlm.stream.settings_part import SettingsPart


def metadata_of(
    job: PipelineJob, shape: tuple[int, int], pixel_nm: float, sigma_nm: float | None
) -> dict[str, object]:
    """Return the metadata of the table; the PSF width is None until it is known."""
    curves, stated = job.settings.psf.astigmatism, job.settings.experiment.stated()
    extras = extra_columns_stated(job.settings)
    return table_metadata(job.folder.name, shape, pixel_nm, sigma_nm, curves, stated, extras)


def open_broadcast(
    job: PipelineJob,
    shape: tuple[int, int],
    pixel_nm: float,
    schema: pa.Schema,
    warn: Callable[[str], None],
) -> Broadcast:
    """Return the stream of a run, which sends from now on.

    Parameters
    ----------
    job
        Of the analysis.
    shape
        Height and width of the frames.
    pixel_nm
        Camera pixel in the sample plane.
    schema
        Of the rows.
    warn
        Called with one sentence, from any thread.
    """
    return Broadcast(
        job.settings.stream,
        RunFolder(job.folder),
        schema=schema,
        about={
            "run": job.folder.name,
            "shape": list(field_shape(job.settings.channels, shape)),
            "pixel_nm": pixel_nm,
            # What a window shows, and nothing that names folders, devices or people.
            "settings": SettingsPart.of(with_dye_names(job.settings))
            .published()
            .model_dump(mode="json"),
        },
        run_id=job.run_id,
        generation=job.resume_before or 0,
        warn=warn,
    )


def open_density_meter(
    settings: RunSettings,
    field: FirstView,
    calibration: CameraCalibration,
    sigma_nm: float,
    localizer: Localizer,
) -> DensityMeter:
    """Return what measures the density of emitters, of the first view alone where there are more.

    Parameters
    ----------
    settings
        Of the run.
    field
        Where the first view lies on the chip.
    calibration
        Of the whole chip.
    sigma_nm
        Standard deviation of the PSF.
    localizer
        Whose rows are counted.
    """
    return DensityMeter(
        field.calibration(calibration),
        field.shape,
        sigma_nm,
        settings.feedback,
        recall=localizer.recall,
        max_local_per_um2=localizer.max_local_per_um2,
    )
