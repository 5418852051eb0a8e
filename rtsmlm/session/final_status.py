"""The final status of a run, published once more after its files are written.

The analysis ends before the recorder and before skipped frames are caught up, and its stream with
it: what it published last is not what became of the run. So the stream is opened again at its
address for those who were listening, with the counts of `ledger.json` and the end mark. Nobody is
waited for where there was no subscriber.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.first_view import field_shape
from rtsmlm.engines.colour_localizer import with_dye_names
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_schema import schema, table_metadata
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.realtime.clock import now_ns
from rtsmlm.settings.run import RunSettings
from rtsmlm.stream.broadcast import Broadcast
from rtsmlm.stream.settings_part import SettingsPart

_RETURN_NS = 3_000_000_000
"""For those who were listening to connect again."""
_REPEATS, _REPEAT_S = 4, 0.25
"""So often, as not all of them connect at once."""
_POLL_S = 0.02

_log = logging.getLogger(__name__)


def publish_final_status(
    status: Mapping[str, object],
    *,
    progress: PipelineProgress,
    settings: RunSettings,
    calibration: CameraCalibration,
    shape: tuple[int, int],
    folder: RunFolder,
    run_id: str,
) -> None:
    """Publish how a run ended, if it had a subscriber; a failure costs the window its counts alone.

    Parameters
    ----------
    status
        `stream.messages.StatusMessage` in plain JSON data, after the accounts were written.
    progress
        What the analysis has reported.
    settings, calibration
        In force.
    shape
        Height and width of the frames.
    folder
        The run folder.
    run_id
        Number of the run.
    """
    address = progress.stream_address
    if address is None or not progress.is_watched:
        return
    table = schema(table_metadata(folder.path.name, shape, calibration.pixel_nm, progress.sigma_nm))
    broadcast = Broadcast(
        settings.stream.model_copy(update={"address": address}),
        folder,
        schema=table,
        about={
            "run": folder.path.name,
            "shape": list(field_shape(settings.channels, shape)),
            "pixel_nm": calibration.pixel_nm,
            "settings": SettingsPart.of(with_dye_names(settings))
            .published()
            .model_dump(mode="json"),
            "is_over": True,
        },
        run_id=run_id,
        generation=progress.generation,
        warn=lambda text: _log.warning("the final status: %s", text),
    )
    try:
        _publish(broadcast, {**status, "is_final": True}, progress)
    finally:
        broadcast.close()


def _publish(
    broadcast: Broadcast, status: Mapping[str, object], progress: PipelineProgress
) -> None:
    pause = threading.Event()  # never set
    until_ns = now_ns() + _RETURN_NS
    while not broadcast.is_watched:
        if now_ns() > until_ns:
            return
        pause.wait(_POLL_S)
    for _ in range(_REPEATS):
        pause.wait(_REPEAT_S)
        broadcast.hand_over(status)
        broadcast.end({"localizations": progress.localizations, "is_final": True})
