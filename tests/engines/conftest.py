"""Small models of every kind, whose answer is known, each written as a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.models.manifest import (
    MANIFEST_NAME,
    ONNX_NAME,
    ChannelEntry,
    Manifest,
    TensorEntry,
    TrainingEntry,
    ValidRanges,
    save_manifest,
)
from rtsmlm.models.model_files import file_entry

MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Return a function that writes a torch module as a model folder."""
    torch = pytest.importorskip("torch", reason="the models are written by torch")
    pytest.importorskip("onnx", reason="the models are ONNX")
    from rtsmlm.models.training.onnx_export import export_onnx

    def make(
        module: Any,
        inputs: Mapping[str, Sequence[int]],
        *,
        name: str = "toy",
        task: str = "localize",
        channels: Sequence[str] = (),
        shapes: Mapping[str, Sequence[str]] | None = None,
        axes: Mapping[str, Mapping[int, str]] | None = None,
        half: bool = True,
        **more: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        kinds = {k: torch.int32 if k == "frames" and task == "localize" else None for k in inputs}
        examples = {k: torch.ones(tuple(v), dtype=kinds[k]) for k, v in inputs.items()}
        path = folder / ONNX_NAME
        export_onnx(module.eval(), examples, "answer", path, axes=axes or {}, half=half)
        answer = more.pop("outputs_shape", ("n", str(max(len(channels), 1)), "height", "width"))
        named = shapes or {k: [str(s) for s in v] for k, v in inputs.items()}

        def tensor(k: str, shape: Sequence[str]) -> TensorEntry:
            return TensorEntry(name=k, dtype="float32", shape=tuple(shape), unit="1", meaning=k)

        manifest = Manifest(
            name=name,
            version="1",
            task=task,
            architecture=more.pop("architecture", "pixel-maps"),
            size="toy",
            psf="any",
            window_frames=more.pop("window_frames", 1),
            block_px=more.pop("block_px", 1),
            parameters=1,
            kmac_per_px=0.0,
            inputs=tuple(tensor(k, shape) for k, shape in named.items()),
            outputs=(tensor("answer", answer),),
            channels=tuple(
                ChannelEntry(name=c, first=i, count=1, unit="1", activation="none")
                for i, c in enumerate(channels)
            ),
            valid=ValidRanges(
                sigma_px=(0.5, 3.0), photons=(10, 1e5), background=(0, 1e3), density_um2=(0, 5)
            ),
            training=TrainingEntry(steps=1, windows=1, seconds=1.0, hardware="", recipe={}),
            files=(file_entry(folder / ONNX_NAME),),
            **more,
        )
        save_manifest(manifest, folder)
        assert (folder / MANIFEST_NAME).is_file()
        return folder

    return make
