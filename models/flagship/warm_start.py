"""Starts a network from the weights of another one, such as a 3D network from the 2D one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.flagship.layers import films_of, modulated_layers
from rtsmlm.models.flagship.maps import BACKGROUND_CHANNEL
from rtsmlm.models.flagship.network import FlagshipNetwork
from rtsmlm.models.flagship.time_network import TimeNetwork
from rtsmlm.models.psf_condition import CURVE_CONDITION, round_psf
from rtsmlm.models.training.weights import copy_all

TYPICAL_SIGMA_PX = 1.6
"""The width for which a round PSF's network is closest to what an astigmatic one needs."""


@torch.no_grad()
def start_from(network: FlagshipNetwork, weights: dict[str, F32]) -> None:
    """Copy what both networks have; the rest stays as it is.

    Parameters
    ----------
    network
        To be trained.
    weights
        Of a network of the same size, which is copied whole, or of one for round PSFs, of the same
        channels. What its PSF width does at a typical width is folded into its convolutions, so
        that the new network starts without it.

    Raises
    ------
    ConfigError
        If the networks differ in their channels.
    """
    state = network.state_dict()
    if {name: value.shape for name, value in weights.items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }:
        copy_all(network, weights)
        return
    if isinstance(network, TimeNetwork) and network.settings.axial == _is_axial(weights):
        _copy_shared(network, weights)
        return
    folded = dict(weights)
    films = films_of(weights, round_psf(TYPICAL_SIGMA_PX).condition)
    for layer, (scale, shift) in zip(modulated_layers(weights), films, strict=True):
        folded[f"{layer}.weight"] = weights[f"{layer}.weight"] * scale[:, None, None, None]
        folded[f"{layer}.bias"] = weights[f"{layer}.bias"] * scale + shift
    for name, value in state.items():
        if name.startswith("condition") or name not in folded:
            continue
        old = torch.from_numpy(np.ascontiguousarray(folded[name]))
        if name.startswith("out."):
            _copy_outputs(value, old, network.settings.background_channel)
        elif value.shape == old.shape:
            value.copy_(old)
        else:
            raise ConfigError(
                f"cannot start from these weights: {name} is {tuple(old.shape)} there and "
                f"{tuple(value.shape)} here; take a model of the same size"
            )


def _is_axial(weights: dict[str, F32]) -> bool:
    return bool(weights["condition_first.weight"].shape[1] == CURVE_CONDITION)


def _copy_shared(network: TimeNetwork, weights: dict[str, F32]) -> None:
    """Copy the layers that a network with attention shares with one without.

    One with fewer blocks takes the first ones; what the PSF does to those that it lacks goes.
    """
    state = network.state_dict()
    films = film_rows(weights, state)
    for name, value in state.items():
        if name.startswith(("frames.", "attention.")):
            continue
        old = torch.from_numpy(np.ascontiguousarray(weights[name]))
        if name.startswith("condition_second."):
            old = old[films]
        if value.shape != old.shape:
            raise ConfigError(
                f"cannot start from these weights: {name} is {tuple(old.shape)} there and "
                f"{tuple(value.shape)} here; take a model of the same channels"
            )
        value.copy_(old)


def film_rows(weights: dict[str, F32], state: Mapping[str, Tensor]) -> list[int]:
    """Return which outputs of the condition belong to layers that a network has."""
    rows: list[int] = []
    start = 0
    for layer in modulated_layers(weights):
        n = 2 * len(weights[f"{layer}.bias"])
        if f"{layer}.bias" in state:
            rows += range(start, start + n)
        start += n
    return rows


def _copy_outputs(value: Tensor, old: Tensor, background_channel: int) -> None:
    value[:BACKGROUND_CHANNEL].copy_(old[:BACKGROUND_CHANNEL])
    value[background_channel].copy_(old[BACKGROUND_CHANNEL])
