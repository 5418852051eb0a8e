"""smNet as an architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsmlm.models.box_parameters.architecture import BoxArchitecture

if TYPE_CHECKING:
    from torch import nn


def _build(size: str, box_px: int, outputs: int) -> nn.Module:
    from rtsmlm.models.smnet.network import SIZES, SmNetwork

    settings = SIZES[size].model_copy(update={"box_px": box_px, "outputs": outputs})
    return SmNetwork(settings)


ARCHITECTURE = BoxArchitecture("smnet", ("paper", "S"), _build)
