"""The network after Zelger et al. as an architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsmlm.models.box_parameters.architecture import BoxArchitecture

if TYPE_CHECKING:
    from torch import nn


def _build(size: str, box_px: int, outputs: int) -> nn.Module:
    from rtsmlm.models.zelger.network import SIZES, ZelgerNetwork

    settings = SIZES[size].model_copy(update={"box_px": box_px, "outputs": outputs})
    return ZelgerNetwork(settings, noise=True)


ARCHITECTURE = BoxArchitecture("zelger", ("paper", "S"), _build)
