"""Settings of linking: rows of one emitter made one."""

from __future__ import annotations

from pydantic import Field

from rtsmlm.settings.base import Settings


class LinkingSettings(Settings):
    """Rows of one emitter in successive frames, made one row."""

    write: bool = False
    """Write linked.arrows at the end of a run, beside the table of all rows, which stays."""
    gap_frames: int = Field(default=1, ge=0, le=100)
    """So many frames in a row an emitter may be missed: 1 for dSTORM and PALM, 2 or 3 for PAINT."""
