"""The live preview of a program that has opened the core, while a run of ours takes the frames."""

from __future__ import annotations

import logging

from pymmcore_plus import CMMCorePlus

logger = logging.getLogger(__name__)


def show_preview(core: CMMCorePlus) -> None:
    """Let the previews of a host program follow a sequence that we have started.

    They watch for the host's own live mode, and ask `getLastImage` from then on; it answers, since
    the newest frame stays in the buffer (`frame_sources`). `sequenceAcquisitionStopped`, which the
    core emits when the sequence is stopped, ends them.
    """
    try:
        core.events.continuousSequenceAcquisitionStarted.emit()
    except Exception as error:  # what the host has connected may raise anything
        logger.warning("a preview of the host program did not start: %s", error)
