"""The flagship with attention along time as an architecture: longer windows, the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtsmlm.models.architecture import Maps, NetworkModel
from rtsmlm.models.flagship.architecture import Flagship
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn


class FlagshipInTime(Flagship):
    """Seven or fifteen frames to slots of emitters, conditioned on the PSF.

    Engines run its graph from raw frames on: there is no compiled front end for it.
    """

    name = "flagship-time"
    planes = 0

    def front_end(self, n_frames: int, maps: Maps) -> None:
        """Return None: the graph takes raw frames."""

    def torch_network(self, model: NetworkModel, device: torch.device, dtype: torch.dtype) -> None:
        """Return None: the graph is run node by node."""

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.flagship.time_network import TIME_SIZES

        return tuple(TIME_SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights.

        Raises
        ------
        ConfigError
            If its training windows have another number of frames.
        """
        from rtsmlm.models.flagship.time_network import TIME_SIZES, TimeNetwork, check_windows

        settings = TIME_SIZES[recipe.network.size]
        check_windows(settings, recipe)
        return TimeNetwork(settings)


ARCHITECTURE = FlagshipInTime()
