"""The layers of a network, known from its weights alone, without torch."""

from __future__ import annotations

import numpy as np

from rtsmlm.localizations import F32

Film = tuple[F32, F32]
"""Scale and shift of the channels of a layer, (channels,) each."""


def n_blocks(weights: dict[str, F32], group: str) -> int:
    """Return how many residual blocks a group has, such as `half_blocks`."""
    return len({name.split(".")[1] for name in weights if name.startswith(f"{group}.")})


def modulated_layers(weights: dict[str, F32]) -> list[str]:
    """Return the convolutions that the PSF modulates, in the order in which they come."""

    def blocks(group: str) -> list[str]:
        return [f"{group}.{i}.first" for i in range(n_blocks(weights, group))]

    return [
        "stem",
        *blocks("half_blocks"),
        "down",
        *blocks("quarter_blocks"),
        *blocks("last_blocks"),
        "head",
    ]


def films_of(weights: dict[str, F32], condition: F32) -> list[Film]:
    """Return what a PSF does to each of the `modulated_layers`.

    Parameters
    ----------
    weights
        Of a `FlagshipNetwork`, by name.
    condition
        The condition, (1, condition size).
    """

    def linear(value: F32, layer: str) -> F32:
        return np.asarray(value @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"])

    hidden = np.maximum(linear(condition, "condition_first"), 0.0)
    film = linear(hidden, "condition_second")[0]
    films, start = [], 0
    for layer in modulated_layers(weights):
        n = len(weights[f"{layer}.bias"])
        films.append((1.0 + film[start : start + n], film[start + n : start + 2 * n]))
        start += 2 * n
    return films


def folded(weights: dict[str, F32], condition: F32) -> dict[str, F32]:
    """Return weights that do without a condition what these do for one PSF.

    In half precision every step rounds: what is one convolution should not be three steps.

    Parameters
    ----------
    weights
        Of a `FlagshipNetwork`, by name.
    condition
        The condition, (1, condition size).
    """
    result = dict(weights)
    for layer, (scale, shift) in zip(
        modulated_layers(weights), films_of(weights, condition), strict=True
    ):
        result[f"{layer}.weight"] = weights[f"{layer}.weight"] * scale[:, None, None, None]
        result[f"{layer}.bias"] = weights[f"{layer}.bias"] * scale + shift
    for name in ("condition_second.weight", "condition_second.bias"):
        result[name] = np.zeros_like(weights[name])
    return result
