"""TensorRT and TensorRT-RTX: what they need, how their engines are built, checked and kept.

Both packages have the same interface. TensorRT builds for the GPU that is there. TensorRT-RTX
builds for any RTX GPU on any computer, and compiles the rest when it runs. Both open an engine only
where there is a GPU, so that elsewhere it is the network that is checked.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from rtsmlm.engines.engine_cache import EngineCache, EngineKey
from rtsmlm.engines.tensorrt_parts import (
    OnStep,
    Shape,
    Tensors,
    check_precision,
    check_tensors,
    engine_tensors,
    gpu_here,
    messages_of,
    monitor_of,
    network_tensors,
    tensors_of,
)
from rtsmlm.errors import ConfigError, LocalizerError, SinkError
from rtsmlm.models.manifest import ONNX_NAME, load_manifest
from rtsmlm.settings.installation import install_line

_log = logging.getLogger(__name__)
_PACKAGES = ("tensorrt", "tensorrt_rtx")
_FOR_EXPORT = ("onnx",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An engine, and where it came from."""

    engine: bytes
    seconds: float
    """Time that it took to build; 0 if it was there."""
    cached: bool
    """Whether it was there."""
    target: str


def missing() -> str:
    """Return why TensorRT cannot run on this computer and what to do; empty if it can."""
    reason = missing_to_build()
    if reason:
        return reason
    if importlib.util.find_spec("torch") is None:
        return f"TensorRT needs torch to move frames: {install_line('gpu')}"
    import torch

    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA: install it as pytorch.org says for "
            "this system and CUDA"
        )
    if not torch.cuda.is_available():
        return "no NVIDIA GPU that torch can use: check that nvidia-smi lists one"
    return ""


def missing_to_build() -> str:
    """Return why no engine can be built on this computer and what to do; empty if it can."""
    try:
        package()
    except ConfigError as error:
        return str(error)
    lacking = [name for name in _FOR_EXPORT if importlib.util.find_spec(name) is None]
    if lacking:
        return f"TensorRT engines need {', '.join(lacking)}: {install_line('engine')}"
    return ""


def package() -> Any:
    """Return the package tensorrt, else tensorrt_rtx.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    faults = []
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            return importlib.import_module(name)
        # They load libraries as they are imported, and say in several ways that one is not there.
        except (ImportError, OSError, RuntimeError) as error:
            faults.append(f"{name} does not load: {error}")
    absent = (
        f"TensorRT is not installed: {install_line('gpu')}; to build engines only, "
        f"{install_line('engine')}"
    )
    raise ConfigError("; ".join(faults) or absent)


def title() -> str:
    """Return name and version, such as "TensorRT-RTX 1.7"."""
    trt = package()
    version = ".".join(trt.__version__.split(".")[:2])
    return f"{'TensorRT-RTX' if _portable(trt) else 'TensorRT'} {version}"


def load_or_build(
    folder: Path,
    shape: Shape,
    precision: str,
    *,
    sm: int | None = None,
    cache: EngineCache | None = None,
    on_step: OnStep | None = None,
    anew: str = "",
) -> Built:
    """Return an engine from the cache; build it where there is none that is whole.

    Parameters
    ----------
    folder
        The model folder.
    shape
        Frames at once, height and width in pixels, padded.
    precision
        f16 or f32.
    sm
        Compute capability of the GPU that it is for, such as 89; by default that of this computer.
    cache
        By default that of the user.
    on_step
        Called with the progress of the builder.
    anew
        Why the engine in the cache cannot be used; empty if it can.

    Raises
    ------
    ConfigError
        If a package is missing or the precision is unknown.
    FileFormatError
        If the model is damaged.
    LocalizerError
        If the engine cannot be built.
    """
    trt = package()
    manifest = load_manifest(folder)
    onnx_bytes = onnx_of(folder, shape, precision)
    key = EngineKey(
        runtime=f"{trt.__name__} {trt.__version__}",
        target=_target(trt, sm),
        model=manifest.name,
        model_sha256=sha256(onnx_bytes).hexdigest(),
        shape=shape,
        precision=precision,
    )
    cache = cache or EngineCache()
    engine, fault = cache.read(key)
    if engine is not None and not anew:
        return Built(engine=engine, seconds=0.0, cached=True, target=key.target)
    if anew or fault:
        _log.warning("the engine of %s is built anew: %s", manifest.name, anew or fault)
    start = time.perf_counter()
    expected = tensors_of(manifest, shape)
    engine = build_engine(onnx_bytes, expected=expected, sm=sm, on_step=on_step)
    seconds = time.perf_counter() - start
    try:
        cache.write(key, engine, seconds)
    except SinkError as error:
        _log.warning("%s; it will be built at each start", error)
    return Built(engine=engine, seconds=seconds, cached=False, target=key.target)


def load_or_build_open(folder: Path, shape: Shape, precision: str) -> Any:
    """Return an open engine for the GPU of this computer; see `load_or_build`.

    Raises
    ------
    ConfigError, FileFormatError
        As `load_or_build`.
    LocalizerError
        If it cannot be built, or this GPU does not take it.
    """
    expected = tensors_of(load_manifest(folder), shape)
    built = load_or_build(folder, shape, precision)
    try:
        return open_engine(built.engine, expected)
    except LocalizerError as error:
        if not built.cached:
            raise
        # It is whole, and yet another driver or GPU may not take it.
        reason = str(error)
    built = load_or_build(folder, shape, precision, anew=reason)
    return open_engine(built.engine, expected)


def onnx_of(folder: Path, shape: Shape, precision: str) -> bytes:
    """Return the ONNX model of a fixed shape, of types that TensorRT knows.

    Raises
    ------
    ConfigError
        If the precision is unknown.
    """
    check_precision(precision)
    import onnx

    from rtsmlm.engines.graph_types import typed_graph

    manifest = load_manifest(folder)
    shapes = {name: sides for name, (_, sides) in tensors_of(manifest, shape).items()}
    model = typed_graph(onnx.load(folder / ONNX_NAME), shapes, half=precision == "f16")
    return bytes(model.SerializeToString())


def build_engine(
    onnx_bytes: bytes, *, expected: Tensors, sm: int | None = None, on_step: OnStep | None = None
) -> bytes:
    """Build an engine from an ONNX model; types are those of the model.

    Parameters
    ----------
    onnx_bytes
        The model, of a fixed shape.
    expected
        Inputs and outputs that it must have.
    sm
        Compute capability of the GPU that it is for; by default the GPU of this computer.
    on_step
        Called with the progress of the builder.

    Raises
    ------
    LocalizerError
        If the package refuses the model or the GPU.
    """
    trt = package()
    messages = messages_of(trt)
    builder = trt.Builder(messages.sink)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages.sink)
    if not parser.parse(onnx_bytes):
        faults = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise LocalizerError(f"{title()} does not understand the model: {'; '.join(faults)}")
    check_tensors(network_tensors(trt, network), expected)
    config = builder.create_builder_config()
    # float32 shall be that: TF32 has no more digits than float16.
    config.clear_flag(trt.BuilderFlag.TF32)
    _aim(trt, config, sm)
    monitor = None if on_step is None else monitor_of(trt, on_step)
    if monitor is not None:
        config.progress_monitor = monitor
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise LocalizerError(f"{title()} could not build the engine: {messages.last_error}")
    return bytes(built)


def open_engine(engine: bytes, expected: Tensors) -> Any:
    """Return an engine of which contexts can be made, its inputs and outputs checked.

    Raises
    ------
    LocalizerError
        If this GPU or this version does not take it, or it is of another model or shape.
    """
    trt = package()
    messages = messages_of(trt)
    opened = trt.Runtime(messages.sink).deserialize_cuda_engine(engine)
    if opened is None:
        raise LocalizerError(f"{title()} cannot open the engine: {messages.last_error}")
    check_tensors(engine_tensors(trt, opened), expected)
    return opened


def _target(trt: Any, sm: int | None) -> str:
    """Return what of a GPU an engine depends on."""
    gpu = gpu_here()
    if sm is None and gpu is None:
        raise LocalizerError("no NVIDIA GPU that torch can use: say for which one with --sm")
    if _portable(trt):
        return f"sm_{gpu[1] if sm is None and gpu is not None else sm}"
    if gpu is None or sm not in (None, gpu[1]):
        raise LocalizerError(
            f"{title()} builds for the GPU of this computer only, not for sm_{sm}: for others "
            f"pip uninstall tensorrt and {install_line('engine')}"
        )
    return f"{gpu[0]} sm_{gpu[1]}"


def _aim(trt: Any, config: Any, sm: int | None) -> None:
    """Set for which GPU an engine is built."""
    if not _portable(trt):
        return
    known = trt.ComputeCapability.__members__
    name = "CURRENT" if sm is None else f"SM{sm}"
    if name not in known:
        numbers = ", ".join(other[2:] for other in known if other.startswith("SM"))
        raise LocalizerError(f"{title()} does not build for sm_{sm}; it builds for {numbers}")
    config.num_compute_capabilities = 1
    config.set_compute_capability(known[name], 0)


def _portable(trt: Any) -> bool:
    """Tell whether the package builds for other GPUs than that of this computer."""
    return bool(trt.__name__ == "tensorrt_rtx")
