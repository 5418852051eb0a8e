"""What is new in a run, and the `Source` that a window asks for it; no Qt here.

The window polls its source when it has time, so that a slow window never delays the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ImageLayer
from rtsmlm.stream.messages import (
    DensityMessage,
    FrameMessage,
    LayerMessage,
    ResolutionMessage,
    RunMessage,
    StatusMessage,
)

Connection = Literal["waiting", "live", "silent", "lost", "ended"]
"""waiting: no answer yet; live: something new within the last seconds; silent: nothing for longer;
lost: the connection broke, rows that came are kept, and it is tried again; ended: the run is over
and all its rows are here."""


@dataclass(frozen=True, slots=True)
class CameraImage:
    """The newest camera frame."""

    index: int
    pixels: NDArray[np.uint16]
    """ADU, shape (height, width), after binning."""
    binning: int
    """Camera pixels a side that went into one."""

    @classmethod
    def from_message(cls, stated: FrameMessage, pixels: bytes) -> CameraImage:
        """Return the frame of a message (`stream.publisher`), from its header and its pixels.

        Raises
        ------
        FileFormatError
            If the pixels do not fill the shape in the header.
        """
        height, width = stated.shape
        if len(pixels) != 2 * height * width or height < 1 or width < 1:
            raise FileFormatError(
                f"the newest frame of the run has {len(pixels)} bytes; {height} x {width} pixels "
                "of two bytes were stated"
            )
        image = np.frombuffer(pixels, "<u2").reshape(height, width).astype(np.uint16)
        return cls(stated.index, image, stated.binning)


MOST_LAYERS = 16
"""Layers that a window keeps of a run."""


def layer_from_message(stated: LayerMessage, pixels: bytes) -> ImageLayer:
    """Return the predicted layer of a message (`stream.publisher`), as far as it has grown.

    Raises
    ------
    FileFormatError
        If the pixels do not fill the shape in the header.
    """
    height, width = stated.shape
    if len(pixels) != 2 * height * width:
        raise FileFormatError(
            f"the prediction {stated.name} has {len(pixels)} bytes; {height} x {width} pixels of "
            "two bytes were stated"
        )
    image = np.frombuffer(pixels, "<u2").reshape(height, width) * np.float32(stated.step)
    return ImageLayer(
        stated.name,
        stated.pixel_nm,
        image,
        n_frames=stated.n_frames,
        version=stated.version,
        n_localizations=stated.n_localizations,
        quantity=stated.quantity,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """What is new since the last poll."""

    connection: Connection
    run: RunMessage | None = None
    """What the run states of itself; None while that is not known."""
    restarted: bool = False
    """Forget all rows: they come again, from the first."""
    rows: Sequence[Localizations] = ()
    status: StatusMessage | None = None
    """The newest status; None if none is new."""
    densities: Sequence[DensityMessage] = ()
    """New estimates, oldest first."""
    frame: CameraImage | None = None
    layers: Sequence[ImageLayer] = ()
    """What networks predict, as far as it has grown; those that are new."""
    behind_bytes: int = 0
    """Bytes of the table that are known to be there and are not here yet."""
    folder: Path | None = None
    """The run folder, where it is known and on this machine."""
    problem: str | None = None
    """One sentence on a message or a file that could not be read; None if none is new."""

    # The rest is filled in by `update_reader.UpdateReader`.
    source_name: str = ""
    begins: bool = False
    """Another run or field than in the update before: forget all that was shown."""
    resolution: ResolutionMessage | None = None
    """A new resolution, of the run or, where the run measures none, of this process."""


class Source(Protocol):
    """Where updates come from: a stream, a run folder."""

    @property
    def name(self) -> str:
        """What to call it in the title of a window."""
        ...

    def poll(self, most_rows: int = 100_000) -> RunUpdate:
        """Return what is new, at once; at most about so many rows, the rest comes next time.

        Never raises: what goes wrong shows in `RunUpdate.connection` and `RunUpdate.problem`.
        """
        ...

    def close(self) -> None:
        """Release it. Safe to call more than once."""
        ...
