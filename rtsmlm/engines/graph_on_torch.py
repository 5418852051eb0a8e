"""A network whose architecture has no torch code: its ONNX graph, run node by node."""

from __future__ import annotations

import torch
from torch import Tensor

from rtsmlm.engines.onnx_graph import OnnxGraph
from rtsmlm.models.architecture import Maps, NetworkModel
from rtsmlm.models.manifest import ONNX_NAME


class GraphOnTorch:
    """A `rtsmlm.models.architecture.TorchNetwork` of any model.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    device
        Where it runs.

    Raises
    ------
    LocalizerError
        If the graph has an operator that is not known.
    """

    def __init__(self, model: NetworkModel, device: torch.device) -> None:
        self._device = device
        self._graph = OnnxGraph(model.folder / ONNX_NAME, device)
        self._fixed = {"condition": torch.from_numpy(model.psf.condition).to(device)}

    def set_camera(self, maps: Maps) -> None:
        """Take the maps of a camera to the device."""
        for name, value in zip(
            ("offset_adu", "photons_per_adu", "read_variance"), maps, strict=True
        ):
            self._fixed[name] = torch.from_numpy(value).to(self._device)

    def __call__(self, frames: Tensor, context: Tensor) -> Tensor:
        """Return the output in float32; see `TorchNetwork`."""
        given = {"frames": frames.to(torch.int32) & 0xFFFF, "context": context, **self._fixed}
        answer = self._graph({name: given[name] for name in self._graph.inputs})
        return answer[self._graph.outputs[0]].float()
