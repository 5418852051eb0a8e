"""The recording of a run: the check of the disk, and the attributes stored with the frames."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import RecordingError
from rtsmlm.files.movies.raw_layout import UNIT_KEY
from rtsmlm.files.run.folder import RunFolder, free_mb
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.protocols import Camera
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.settings.run import RunSettings


def start_recording(
    camera: Camera,
    calibration: CameraCalibration,
    settings: RunSettings,
    folder: RunFolder,
    ledger: Ledger,
    *,
    activation_unit: str | None,
    warn: Callable[[str], None],
    fail: Callable[[str], None],
) -> RawRecorder:
    """Return a recorder that takes frames.

    Parameters
    ----------
    camera
        Where the frames come from.
    calibration
        Calibration in force; it is stored with the frames.
    settings
        Settings of the run.
    folder
        The run folder.
    ledger
        Where written frames are booked.
    activation_unit
        Unit of the laser power that comes with the frames, None where there is no laser; stored.
    warn
        Called with one sentence if the disk is nearly full, and when the recording pauses.
    fail
        Called with one sentence if the recording ends early or lacks frames.

    Raises
    ------
    RecordingError
        If the disk is too small, or the recording cannot be started.
    """
    n_frames, record = settings.acquisition.frames, settings.record
    _check_disk(folder, camera.shape, n_frames, record.reserve_mb)
    return RawRecorder(
        folder,
        camera.shape,
        n_frames=n_frames,
        seconds=settings.acquisition.seconds,
        buffer_mb=record.buffer_mb,
        chunk_mb=record.chunk_mb,
        reserve_mb=record.reserve_mb,
        attributes=_attributes(calibration, camera.exposure_ms, activation_unit),
        on_written=ledger.record,
        on_warning=warn,
        on_failure=lambda error: fail(str(error)),
    )


def _attributes(
    calibration: CameraCalibration, exposure_ms: float | None, activation_unit: str | None
) -> dict[str, object]:
    numbers = {
        "pixel_nm": calibration.pixel_nm,
        "offset_adu": calibration.offset_adu,
        "e_per_adu": calibration.e_per_adu,
        "em_gain": calibration.em_gain,
        "read_noise_e": calibration.read_noise_e,
        "exposure_ms": exposure_ms,
    }
    known: dict[str, object] = {
        k: value for k, value in numbers.items() if isinstance(value, float)
    }
    return known if activation_unit is None else known | {UNIT_KEY: activation_unit}


def _check_disk(
    folder: RunFolder, shape: tuple[int, int], n_frames: int | None, reserve_mb: float
) -> None:
    """Refuse a recording that the disk cannot take, be it a single frame of it."""
    free = free_mb(folder.path)
    needed = (n_frames or 1) * shape[0] * shape[1] * 2 / 2**20
    if needed + reserve_mb > free:
        frames = "raw frames" if n_frames is None else f"{n_frames} frames"
        raise RecordingError(
            f"{frames} need {needed:.0f} MB and {reserve_mb:g} MB are kept free for table, ledger "
            f"and report (record.reserve_mb), the disk of {folder.path} has {free:.0f} MB free; "
            "choose another results.out, fewer frames, or record.raw=false"
        )
