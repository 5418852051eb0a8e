"""Around a TensorRT engine: messages, progress, and whether inputs and outputs are the right ones.

`trt` is always the package, tensorrt or tensorrt_rtx.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from rtsmlm.errors import ConfigError, FileFormatError, LocalizerError
from rtsmlm.models.manifest import Manifest, TensorEntry

PRECISIONS = ("f16", "f32")
_AXIS = re.compile(r"(\d+)? ?(n|height|width)?(?: \+ (\d+))?(?: / (\d+))?")
OnStep = Callable[[str, float], None]
"""Called with what the builder does and how much of it is done, 0 to 1."""
Shape = tuple[int, int, int]
"""Frames at once, height and width in pixels, padded."""
Tensor = tuple[str, tuple[int | None, ...]]
"""Type and shape of an input or output; None is a side that the manifest leaves open."""
Tensors = dict[str, Tensor]

_log = logging.getLogger(__name__)


class Messages:
    """Passes the messages of TensorRT on, and keeps the last error for an exception."""

    def __init__(self, trt: Any) -> None:
        self.last_error = ""
        base: Any = trt.ILogger
        faults = (base.INTERNAL_ERROR, base.ERROR)
        messages = self

        class Sink(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in faults:
                    messages.last_error = message
                # Errors come back as exceptions of ours: to print them, too, would be twice.
                level = logging.INFO if severity in (*faults, base.WARNING) else logging.DEBUG
                _log.log(level, "%s", message)

        self.sink = Sink()


@cache
def messages_of(trt: Any) -> Messages:
    """Return the one sink of a package: all that it makes must share it, and it outlives them."""
    return Messages(trt)


def monitor_of(trt: Any, on_step: OnStep) -> Any:
    """Return a progress monitor; None if the package has none.

    Parameters
    ----------
    trt
        The package.
    on_step
        May be called from any thread.
    """
    base: Any = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self._outermost, self._steps, self._done = "", 1, 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._outermost, self._steps, self._done = phase_name, num_steps, 0.0
            on_step(phase_name, self._done)

        def phase_finish(self, phase_name: str) -> None:
            if phase_name == self._outermost:
                self._done = 1.0
                on_step(phase_name, self._done)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self._outermost:
                self._done = (step + 1) / self._steps
                on_step(phase_name, self._done)
            return True

    return Monitor()


def check_precision(precision: str) -> None:
    """Refuse a precision that is not one of `PRECISIONS`.

    Raises
    ------
    ConfigError
        If it is not.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}; TensorRT takes {' or '.join(PRECISIONS)}")


def gpu_here() -> tuple[str, int] | None:
    """Return name and compute capability of the GPU, such as 89; None without one."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability()
    return torch.cuda.get_device_name(), 10 * major + minor


def tensors_of(manifest: Manifest, shape: Shape) -> Tensors:
    """Return inputs and outputs that an engine of a model must have.

    Parameters
    ----------
    manifest
        Of the model.
    shape
        Frames at once, height and width in pixels, padded.

    Raises
    ------
    FileFormatError
        If the side of an input cannot be known.
    """
    sides = dict(zip(("n", "height", "width"), shape, strict=True))

    def tensor(entry: TensorEntry) -> Tensor:
        # TensorRT knows no uint16; an image is made of photons.
        raw = entry.name == "frames" and manifest.task == "localize"
        return "int32" if raw else entry.dtype, tuple(_side(axis, sides) for axis in entry.shape)

    for entry in manifest.inputs:
        if any(side is None for side in tensor(entry)[1]):
            raise FileFormatError(
                f"{manifest.name} has an input {entry.name} of {', '.join(entry.shape)}; TensorRT "
                "needs numbers, n, height and width, or such as n + 2, height / 2 and 8 width"
            )
    return {entry.name: tensor(entry) for entry in (*manifest.inputs, *manifest.outputs)}


def _side(axis: str, sides: Mapping[str, int]) -> int | None:
    """Return the length of an axis such as 16, n, n + 2, height / 2, 8 width; None of others."""
    found = _AXIS.fullmatch(axis)
    if found is None or found.group(1, 2) == (None, None):
        return None
    times, name, more, parts = found.groups()
    if name is None:
        return int(times)
    return (int(times or 1) * sides[name] + int(more or 0)) // int(parts or 1)


def check_tensors(found: Tensors, expected: Tensors) -> None:
    """Refuse a network or an engine that is not of the model and shape it is said to be.

    Raises
    ------
    LocalizerError
        If a name, a type or a shape differs.
    """
    for name in sorted(found.keys() | expected.keys()):
        if not _agree(found.get(name), expected.get(name)):
            raise LocalizerError(
                f"tensor {name} of the engine is {_text(found, name)}; the model has "
                f"{_text(expected, name)}: run rtsmlm engine clear, or export the model again"
            )


def _agree(found: Tensor | None, expected: Tensor | None) -> bool:
    if found is None or expected is None or found[0] != expected[0]:
        return False
    pairs = zip(found[1], expected[1], strict=False)
    return len(found[1]) == len(expected[1]) and all(b in (None, a) for a, b in pairs)


def network_tensors(trt: Any, network: Any) -> Tensors:
    """Return inputs and outputs of a network definition."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    return {t.name: (_type(trt, t.dtype), tuple(t.shape)) for t in (*inputs, *outputs)}


def engine_tensors(trt: Any, engine: Any) -> Tensors:
    """Return inputs and outputs of an engine."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    return {
        name: (_type(trt, engine.get_tensor_dtype(name)), tuple(engine.get_tensor_shape(name)))
        for name in names
    }


def _type(trt: Any, kind: Any) -> str:
    return str(np.dtype(trt.nptype(kind)).name)


def _text(tensors: Tensors, name: str) -> str:
    if name not in tensors:
        return "missing"
    kind, shape = tensors[name]
    return f"{kind} {list(shape)}"
