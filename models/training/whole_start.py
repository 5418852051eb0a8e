"""The start of a training from another model, where nothing is left out or fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rtsmlm.localizations import F32

if TYPE_CHECKING:
    from torch import nn


class WholeStart:
    """Part of an architecture whose networks start from all weights of a model of their size."""

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        # Torch is imported when it is asked for: a microscope may not have it.
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)
