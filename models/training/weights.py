"""Weights of a model as the start of another training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32


def copy_all(network: nn.Module, weights: Mapping[str, F32]) -> None:
    """Copy all weights of a model of the same layers.

    Parameters
    ----------
    network
        Written.
    weights
        By name.

    Raises
    ------
    ConfigError
        If a layer is missing, has another size or is one too many.
    """
    state = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"training.start names a model of other layers or of another size: {error}"
        ) from error
