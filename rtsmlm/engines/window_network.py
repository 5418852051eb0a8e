"""WindowNetwork: a network at windows of frames, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.engines.crowds import WindowSize
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Maps, NetworkModel
from rtsmlm.models.rows import COLUMNS
from rtsmlm.models.windows import LooksAtWindows, WindowDecoder, WindowFrontEnd, Windows

if TYPE_CHECKING:
    from rtsmlm.engines.openvino import OpenVinoRuntime

SIZE = WindowSize(side_px=40, halo_px=12)
"""What a network says of a place hardly changes with what is more than 12 pixels away."""
BATCHES = (4, 16)
"""Windows at once: few in a frame alone, many in a backlog. What is missing is computed in vain; a
batch of 16 costs as much as three of 4, and larger ones are no faster."""


class WindowNetwork:
    """Rows of windows; threads may share it, as many as the runtime has lanes.

    Parameters
    ----------
    model
        The network, conditioned on the PSF; its architecture looks at windows.
    runtime
        What it runs on.
    """

    def __init__(self, model: NetworkModel, runtime: OpenVinoRuntime) -> None:
        if not isinstance(model.architecture, LooksAtWindows):
            raise LocalizerError(f"{model.manifest.architecture} looks at whole frames only")
        self._architecture: LooksAtWindows = model.architecture
        self._model, self._runtime = model, runtime
        self._requests: dict[int, SimpleQueue[Any]] = {}
        self._front_ends: SimpleQueue[WindowFrontEnd] = SimpleQueue()
        self._decoder: WindowDecoder | None = None

    def prepare(self, shape: tuple[int, int], maps: Maps) -> None:
        """Get ready for frames of this height and width without padding.

        Raises
        ------
        LocalizerError
            If the software refuses.
        """
        self._decoder = self._architecture.window_decoder(self._model, shape)
        self._front_ends = SimpleQueue()
        for _ in range(self._runtime.lanes):
            self._front_ends.put(self._architecture.window_front_end(maps))
        if not self._requests:  # windows are the same whatever the frames are
            for n in BATCHES:
                self._requests[n] = self._runtime.window_requests(n, SIZE.side_px)

    def rows(
        self, frames: Pixels, context: F32, windows: Windows, *, lanes: int = 1
    ) -> tuple[F32, NDArray[np.int32]]:
        """Return rows with positions in pixels of the frame, and the window of each, ascending.

        Parameters
        ----------
        frames
            Padded, uint16 ADU, contiguous and read-only, (n, height, width).
        context
            1 where the frames around each are there, (n, 2).
        windows
            Of these frames, (m, 3).
        lanes
            How many threads share the windows; more than one where nothing else is done beside.

        Raises
        ------
        LocalizerError
            If the runtime fails.
        """
        if lanes > 1 and len(windows) > BATCHES[-1]:
            return self._shared(frames, context, windows, lanes)
        decoder = self._decoder
        if decoder is None:
            raise LocalizerError(f"windows of {self._runtime.name} are not prepared")
        found = [np.empty((0, COLUMNS), dtype=np.float32)]
        owners = [np.empty(0, dtype=np.int32)]
        front_end = self._front_ends.get()
        try:
            front_end.begin(frames, windows)
            for first, part, size in _shares(windows):
                rows, owner = self._infer(front_end, frames, context, part, size, decoder)
                found.append(rows)
                owners.append(owner + np.int32(first))
        finally:
            self._front_ends.put(front_end)
        return np.concatenate(found), np.concatenate(owners)

    def _shared(
        self, frames: Pixels, context: F32, windows: Windows, lanes: int
    ) -> tuple[F32, NDArray[np.int32]]:
        """Return the rows of windows that threads share."""
        edges = np.linspace(0, len(windows), lanes + 1).astype(int).tolist()

        def rows(first: int, last: int) -> tuple[F32, NDArray[np.int32]]:
            found, owner = self.rows(frames, context, windows[first:last])
            return found, owner + np.int32(first)

        with ThreadPoolExecutor(lanes, thread_name_prefix="rtsmlm-routing") as pool:
            parts = list(pool.map(rows, edges[:-1], edges[1:]))
        return np.concatenate([part[0] for part in parts]), np.concatenate([p[1] for p in parts])

    def _infer(
        self,
        front_end: WindowFrontEnd,
        frames: Pixels,
        context: F32,
        windows: Windows,
        size: int,
        decoder: WindowDecoder,
    ) -> tuple[F32, NDArray[np.int32]]:
        request = self._requests[size].get()
        try:
            # What is behind the last window stays of the batch before, and is not decoded.
            planes = request.get_input_tensor(0).data
            front_end(frames, context, windows, planes)
            request.infer()
            return decoder(request.get_output_tensor(0).data, windows)
        except RuntimeError as error:
            raise LocalizerError(f"{self._runtime.name} failed: {error}") from error
        finally:
            self._requests[size].put(request)


def _shares(windows: Windows) -> Iterator[tuple[int, Windows, int]]:
    """Yield the first window, the windows and the size of each batch."""
    few, many = BATCHES
    first = 0
    while first < len(windows):
        size = many if len(windows) - first > 2 * few else few
        yield first, windows[first : first + size], size
        first += size
