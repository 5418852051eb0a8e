"""An ONNX graph on torch, node by node: runs models whose architecture has no torch code here.

Only operators of feed-forward networks are known; a graph with another one is refused by name as
it is opened, not in the middle of a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from rtsmlm.engines.onnx_operators import OPERATORS
from rtsmlm.errors import LocalizerError
from rtsmlm.models.onnx_weights import widened


class OnnxGraph:
    """The graph of a model on a device.

    Parameters
    ----------
    path
        ONNX model.
    device
        Where it runs; all is computed in float32.

    Raises
    ------
    LocalizerError
        If the graph has an operator that is not known.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        graph = widened(onnx.load(path)).graph
        self.inputs = [value.name for value in graph.input]
        self.outputs = [value.name for value in graph.output]
        unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys())
        if unknown:
            raise LocalizerError(
                f"the torch engine knows no {', '.join(unknown)}, which {path} has; set "
                "localizer.engine=openvino"
            )
        self._device = device
        self._constants = {
            tensor.name: _tensor(numpy_helper.to_array(tensor), device)
            for tensor in graph.initializer
        }
        self._nodes = [
            (
                OPERATORS[node.op_type],
                list(node.input),
                list(node.output),
                {a.name: _attribute(a, device) for a in node.attribute},
            )
            for node in graph.node
        ]

    def __call__(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name.

        Parameters
        ----------
        values
            Inputs by name, on the device.
        """
        known: dict[str, Any] = {**self._constants, **values}
        for operator, inputs, outputs, attributes in self._nodes:
            result = operator([known[name] if name else None for name in inputs], attributes)
            if len(outputs) == 1 and not isinstance(result, tuple):
                known[outputs[0]] = result
            else:
                known.update(zip(outputs, result, strict=False))
        return {name: known[name] for name in self.outputs}


def _tensor(array: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(array)).to(device)


def _attribute(attribute: Any, device: torch.device) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _tensor(numpy_helper.to_array(value), device)
    return value.decode() if isinstance(value, bytes) else value
