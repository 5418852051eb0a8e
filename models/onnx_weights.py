"""The weights of an ONNX model in half precision, with a cast to float32 behind each.

All is computed in float32 as before. OpenVINO folds the casts as it compiles; the other engines
take the model as `widened` returns it.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtsmlm.models.half_precision import bears_half

_WEIGHT_INPUT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}
"""Which input of an operator is a weight; tables of places and units are inputs of others."""
_SUFFIX = "_f16"


def halve(model: onnx.ModelProto) -> None:
    """Store the weights of a model in half precision.

    Raises
    ------
    LocalizerError
        If a weight is larger than float16 can hold.
    """
    graph = model.graph
    weights = {
        node.input[_WEIGHT_INPUT[node.op_type]]
        for node in graph.node
        if node.op_type in _WEIGHT_INPUT
    }
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in weights:
            continue
        values = numpy_helper.to_array(tensor)
        if bears_half(tensor.name, values):
            stored = f"{tensor.name}{_SUFFIX}"
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model whose weights are float32, without casts of weights."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    halves = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    kept, read_by_cast = [], set()
    for node in graph.node:
        if node.op_type != "Cast" or node.input[0] not in halves or not _to_float(node):
            kept.append(node)
            continue
        values = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        read_by_cast.add(node.input[0])
    left = read_by_cast - {name for node in kept for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name not in left]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)
    return wide


def _to_float(node: onnx.NodeProto) -> bool:
    return any(a.name == "to" and a.i == TensorProto.FLOAT for a in node.attribute)
