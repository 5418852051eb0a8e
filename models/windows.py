"""Windows: squares of frames at which a network looks, where it does not look at whole frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

if TYPE_CHECKING:
    from rtsmlm.models.architecture import Architecture, Maps, NetworkModel

Windows: TypeAlias = NDArray[np.int32]
"""Position of the frame in its batch, first row and first column in pixels, (n, 3)."""


class WindowFrontEnd(Protocol):
    """Compiled pre-processing of windows; the values are those of whole frames."""

    def begin(self, frames: Pixels, windows: Windows) -> None:
        """Get ready for windows of padded frames, uint16 ADU, (n, height, width)."""
        ...

    def __call__(self, frames: Pixels, context: F32, windows: Windows, planes: F32) -> None:
        """Write what the first convolution takes, (n, rows, columns, planes).

        Parameters
        ----------
        frames
            As given to `begin`.
        context
            1 where the frames around each are there (`rtsmlm.models.inputs.context_of`).
        windows
            Some of those given to `begin`.
        planes
            Written, at least as long as the windows.
        """
        ...


class WindowDecoder(Protocol):
    """Output of the network for windows to rows of `rtsmlm.models.rows`."""

    def __call__(self, maps: F32, windows: Windows) -> tuple[F32, NDArray[np.int32]]:
        """Return rows with positions in pixels of the frame, and the window of each.

        Parameters
        ----------
        maps
            Output of the network, at least as long as the windows.
        windows
            What was looked at.
        """
        ...


@runtime_checkable
class LooksAtWindows(Protocol):
    """What an architecture with a front end offers besides, where it can look at windows."""

    def window_front_end(self, maps: Maps) -> WindowFrontEnd:
        """Return the pre-processing of windows for a camera whose maps are padded."""
        ...

    def window_decoder(self, model: NetworkModel, shape: tuple[int, int]) -> WindowDecoder:
        """Return the decoder of windows of frames of this shape without padding."""
        ...


def looks_at_windows(architecture: Architecture) -> bool:
    """Whether a network can be asked about parts of a frame, on the CPU."""
    return architecture.planes > 0 and isinstance(architecture, LooksAtWindows)
