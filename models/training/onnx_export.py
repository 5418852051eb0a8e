"""A torch module to ONNX, with axes left open for an engine to fix."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from rtsmlm.models.onnx_weights import halve

OPSET = 17


def export_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    output: str,
    path: Path,
    *,
    axes: Mapping[str, Mapping[int, str]],
    half: bool = True,
) -> None:
    """Write what a module does with example inputs as an ONNX model.

    Parameters
    ----------
    module
        Called with the inputs in their order, in evaluation mode, and left so: the exporter would
        give parts in evaluation mode back in that of their whole.
    inputs
        Examples by name.
    output
        Name of its only output.
    path
        File to write.
    axes
        Names of the axes that are left open, of inputs and output.
    half
        Store the weights in half precision, see `rtsmlm.models.half_precision`.

    Raises
    ------
    LocalizerError
        If a weight is larger than float16 can hold.

    Notes
    -----
    The exporter by tracing is used: the newer one needs the package onnxscript, which a compute
    node need not have, and these graphs have no control flow.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about itself, and of traced constants
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: dict(open_axes) for name, open_axes in axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    if half:
        halve(model)
        onnx.save(model, path)
    onnx.checker.check_model(model)
