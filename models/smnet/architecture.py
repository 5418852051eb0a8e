"""smNet as an architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsmlm.models.box_parameters.architecture import BoxArchitecture

if TYPE_CHECKING:
    from torch import nn


def _build(size: str, outputs: int) -> nn.Module:
    from rtsmlm.models.smnet.network import SIZES, SmNetwork

    return SmNetwork(SIZES[size].model_copy(update={"outputs": outputs}))


ARCHITECTURE = BoxArchitecture("smnet", ("paper", "paper-32", "S"), _build)
