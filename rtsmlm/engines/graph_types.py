"""The ONNX graph of a model with its shapes fixed, in the types that TensorRT takes.

TensorRT keeps to the types of a graph and knows no uint16. Frames come as int32; from the first
convolution to the last one everything may be in half precision. What comes before (ADU have 16
bits), the condition, and what makes photons and nanometres of the last sums stay in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtsmlm.models.onnx_weights import widened

_INTEGERS = frozenset({TensorProto.UINT16, TensorProto.INT32, TensorProto.INT64})
_SINGLE, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_KEEPS_TYPES = frozenset({"Shape", "Cast", "Constant", "ConstantOfShape"})


def typed_graph(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int | None, ...]], *, half: bool
) -> onnx.ModelProto:
    """Return a copy of a model for TensorRT.

    Parameters
    ----------
    model
        As `rtsmlm export` writes it.
    shapes
        Of every input and output, by name; None where the side of an output is not known.
    half
        Compute in half precision from the first convolution to the last product.
    """
    typed = widened(model)
    for value in (*typed.graph.input, *typed.graph.output):
        sides = typed_dims(value)
        del sides[:]
        for side in shapes[value.name]:
            open_side = sides.add()
            if side is not None:
                open_side.dim_value = side
        if value.type.tensor_type.elem_type in _INTEGERS:
            value.type.tensor_type.elem_type = TensorProto.INT32
    del typed.graph.value_info[:]
    if half:
        _halve(typed)
    onnx.checker.check_model(typed)
    return typed


def typed_dims(value: Any) -> Any:
    """Return the list of axes of an input or output."""
    return value.type.tensor_type.shape.dim


def _halve(model: onnx.ModelProto) -> None:
    """Compute what lies between convolutions in half precision."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    floating = {name for name, tensor in weights.items() if tensor.data_type == _SINGLE}
    inferred = onnx.shape_inference.infer_shapes(model).graph
    floating |= {
        value.name
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
        if value.type.tensor_type.elem_type == _SINGLE
    }
    is_half: set[str] = set()
    cast: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []

    def in_half(name: str) -> str:
        """Return the name of a value in half precision, with a cast if there is none yet."""
        if name in is_half or name not in floating:
            return name
        if name not in cast:
            cast[name] = f"{name}_half"
            if name in weights:
                array = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(array, cast[name]))
            else:
                nodes.append(helper.make_node("Cast", [name], [cast[name]], to=_HALF))
        return cast[name]

    def in_single(name: str) -> str:
        """Return the name of a value in float32, with a cast if there is none yet."""
        if name not in is_half:
            return name
        if name not in cast:
            cast[name] = f"{name}_single"
            nodes.append(helper.make_node("Cast", [name], [cast[name]], to=_SINGLE))
        return cast[name]

    data_inputs = {"Resize": 1}  # whose scales are float32 in any case
    needed = _needed_by_products(graph)
    for node in graph.node:
        touched = any(name in is_half for name in node.input)
        if node.op_type != "Conv" and (not touched or node.op_type in _KEEPS_TYPES):
            nodes.append(node)
            continue
        if node.op_type not in _PRODUCTS and not needed & set(node.output):
            node.input[:] = [in_single(name) for name in node.input]
            nodes.append(node)
            continue
        n_data = data_inputs.get(node.op_type, len(node.input))
        for k in range(min(n_data, len(node.input))):
            node.input[k] = in_half(node.input[k])
        nodes.append(node)
        is_half.update(node.output)
    for value in graph.output:
        if value.name in is_half:
            inner = f"{value.name}_inner"
            for node in nodes:
                node.output[:] = [inner if o == value.name else o for o in node.output]
                node.input[:] = [inner if i == value.name else i for i in node.input]
            nodes.append(helper.make_node("Cast", [inner], [value.name], to=_SINGLE))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _needed_by_products(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all values that a convolution or a full layer depends on."""
    needed: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in _PRODUCTS or needed & set(node.output):
            needed.update(node.input)
    return needed
