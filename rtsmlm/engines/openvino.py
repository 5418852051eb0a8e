"""OpenVINO on the CPU: bf16 with matrix units, int8 with VNNI, float32 elsewhere.

One frame alone is worked on by all cores, for latency; of a backlog, each core takes frames of its
own, for throughput: no core waits for another, and what is no convolution runs in parallel too.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np
import openvino
from llvmlite.binding import get_host_cpu_features

from rtsmlm.engines.openvino_trunk import activation_ranges, conditioned, quantized, trunk
from rtsmlm.engines.tiles import Tile, tiles_of
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Decoder, FrontEnd, Maps, NetworkModel
from rtsmlm.realtime.cores import usable_cores

PRECISIONS = ("bf16", "f32", "int8")
_BATCH_FRAMES = 16
"""All cores together take as many frames at a time as a run hands over, `pipeline.batch_frames`."""
_BATCH_PX = 4 * 256 * 256
"""A core takes frames of so many pixels at a time: more do not go faster, and leave its cache."""

T = TypeVar("T")
_Plan: TypeAlias = tuple[int, bool]
"""How many frames at once, and whether all cores work on them."""


class OpenVinoRuntime:
    """A network on the CPU, as a `rtsmlm.engines.runtime.Runtime`.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    precision
        bf16, f32 or int8; by default what `best_precision` says, or f32 where the model does not
        bear bf16. int8 rests on what simulated frames make of the network with the PSF in force.

    Raises
    ------
    ConfigError
        If the precision is none of these.
    """

    uses_all_cores = True

    def __init__(self, model: NetworkModel, *, precision: str | None = None) -> None:
        self._has_front_end = model.architecture.planes > 0
        best = best_precision(int8=self._has_front_end) if model.manifest.bf16 else "f32"
        self.precision = precision or best
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"localizer.precision {precision!r} is none of OpenVINO's: {', '.join(PRECISIONS)}"
            )
        if self.precision == "int8" and not self._has_front_end:
            raise ConfigError(
                f"localizer.precision int8 needs a front end, which {model.manifest.architecture} "
                "has not; set it to f32 or bf16"
            )
        # What is not in eight bits is in this.
        self._floating = _floating_precision() if self.precision == "int8" else self.precision
        self.lanes = usable_cores()
        self.batch_frames = 1
        self._model = model
        self._core = openvino.Core()
        self._padded = (0, 0)
        self._fed: list[tuple[int, str]] = []
        self._camera: dict[str, F32] = {}
        self._tiles: list[Tile] = []
        self._ranges: list[float] = []
        self._requests: dict[_Plan, SimpleQueue[Any]] = {}
        self._front_ends: dict[_Plan, SimpleQueue[FrontEnd]] = {}
        self._decoder: Decoder | None = None

    @property
    def name(self) -> str:
        """Runtime and precision."""
        return f"OpenVINO {self.precision}"

    def prepare(self, shape: tuple[int, int], maps: Maps) -> None:
        """Compile for frames of this shape; see `Runtime`."""
        height, width = maps[0].shape
        self._decoder = self._model.architecture.decoder(self._model, shape)
        cell_px = self._model.architecture.cell_px
        self._padded = (height, width)
        self._tiles = tiles_of(height // cell_px, width // cell_px) if self._has_front_end else []
        fitting = min(_BATCH_PX // (height * width), _BATCH_FRAMES // self.lanes)
        self.batch_frames = max(fitting, 1)
        try:
            for plan in {(1, True), (1, False), (self.batch_frames, False)}:
                self._requests[plan] = self._compile(plan)
                if self._has_front_end:
                    self._front_ends[plan] = self._make_front_ends(plan, maps)
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error
        self._camera = dict(
            zip(("offset_adu", "photons_per_adu", "read_variance"), maps, strict=True)
        )

    def _make_front_ends(self, plan: _Plan, maps: Maps) -> SimpleQueue[FrontEnd]:
        made: SimpleQueue[FrontEnd] = SimpleQueue()
        for _ in range(self._lanes(plan)):
            front_end = self._model.architecture.front_end(plan[0], maps)
            if front_end is None:
                raise LocalizerError(f"{self._model.manifest.architecture} has no front end")
            made.put(front_end)
        return made

    def rows(self, frames: Pixels, context: F32, *, alone: bool) -> list[F32]:
        """Return the emitters of each frame; see `Runtime`."""
        plan = (len(context), alone)
        if not self._has_front_end:
            given = {"frames": frames, "context": context, **self._camera}
            return self._infer(plan, given, self._rows_of)
        front_end = self._front_ends[plan].get()
        try:
            planes = front_end(frames, context)
            if len(self._tiles) == 1:
                return self._infer(plan, {"planes": planes}, self._rows_of)
            return self._rows_of(self._tiled(plan, planes))
        finally:
            self._front_ends[plan].put(front_end)

    def _rows_of(self, maps: F32) -> list[F32]:
        if self._decoder is None:
            raise LocalizerError(f"{self.name} is not prepared")
        return self._decoder(maps)

    def _tiled(self, plan: _Plan, planes: F32) -> F32:
        """Return maps put together of tiles, so that no emitter is found at a seam alone."""
        n, rows, columns, _ = planes.shape
        whole = np.empty((n, self._model.manifest.n_channels, rows, columns), dtype=np.float32)
        for tile in self._tiles:
            part = np.ascontiguousarray(planes[:, *tile.outer])
            kept = tile.kept
            whole[:, :, *tile.inner] = self._infer(
                plan,
                {"planes": part},
                lambda maps, kept=kept: maps[:, :, *kept].copy(),  # type: ignore[misc]
            )
        return whole

    def _infer(self, plan: _Plan, given: dict[str, Any], use: Callable[[F32], T]) -> T:
        """Run the network and return what is made of its maps, which are gone afterwards."""
        request = self._requests[plan].get()
        try:
            request.infer({i: given[name] for i, name in self._fed}, share_inputs=True)
            return use(request.get_output_tensor(0).data)
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error
        finally:
            self._requests[plan].put(request)

    def _lanes(self, plan: _Plan) -> int:
        return 1 if plan[1] else self.lanes

    def window_requests(self, n_windows: int, side_px: int) -> SimpleQueue[Any]:
        """Return `lanes` requests, each on a core of its own, for windows of frames.

        Each takes planes (n_windows, side_px / cell, side_px / cell, planes) of a front end.

        Raises
        ------
        LocalizerError
            If the software refuses.
        """
        cells = side_px // self._model.architecture.cell_px
        try:
            return self._requests_of(
                trunk(self._core, self._model, (n_windows, cells, cells)), self.lanes
            )
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error

    def _compile(self, plan: _Plan) -> SimpleQueue[Any]:
        if self._has_front_end:
            network = trunk(self._core, self._model, (plan[0], *self._tiles[0].size))
            self._fed = [(0, "planes")]
        else:
            network = conditioned(self._core, self._model, (plan[0], *self._padded))
            self._fed = [(i, value.get_any_name()) for i, value in enumerate(network.inputs)]
        return self._requests_of(network, self._lanes(plan))

    def _requests_of(self, network: Any, streams: int) -> SimpleQueue[Any]:
        """Return requests of a network that is compiled for so many streams."""
        if self.precision == "int8":
            self._ranges = self._ranges or activation_ranges(self._core, self._model)
            network = quantized(network, self._ranges)
        options = {
            "INFERENCE_PRECISION_HINT": self._floating,
            "INFERENCE_NUM_THREADS": self.lanes,
            "NUM_STREAMS": streams,
            # The camera thread needs a core too: let the system move the threads.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = self._core.compile_model(network, "CPU", options)
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            requests.put(compiled.create_infer_request())
        return requests


def best_precision(*, int8: bool = True) -> str:
    """Return the fastest precision of this processor that finds emitters as well as f32 does.

    bf16 with matrix units (AMX), where it costs no more than int8; int8 with VNNI; f32 elsewhere.

    Parameters
    ----------
    int8
        Whether the network can run in eight bits.
    """
    if _supports("amx-bf16"):
        return "bf16"
    return "int8" if int8 and (_supports("avx512vnni") or _supports("avxvnni")) else "f32"


def _floating_precision() -> str:
    """Return bf16 where the processor computes in it, else f32."""
    return "bf16" if _supports("amx-bf16") or _supports("avx512bf16") else "f32"


def _supports(feature: str) -> bool:
    return bool(get_host_cpu_features().get(feature, False))
