"""BoxNetwork: layers that state how far their quantities are from a first guess."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtsmlm.models.box_parameters.quantities import Quantity
from rtsmlm.models.box_parameters.scaling import first_guess


class BoxNetwork(nn.Module):
    """Boxes to raw outputs: means and the logarithms of their standard deviations.

    Light and background differ by factors of hundreds and are known roughly from sums over the
    box, in single precision; the layers are left with what the sums miss. How large errors are
    is mostly a matter of light and background: a few neurons turn one into the other.

    Parameters
    ----------
    layers
        Takes light and read variance of boxes, both (n, 1, box, box), and returns (n, outputs).
    wanted
        The quantities, of which `outputs` are twice as many.
    """

    to_outputs: Tensor
    middles: Tensor

    def __init__(self, layers: nn.Module, wanted: tuple[Quantity, ...]) -> None:
        super().__init__()
        self.layers = layers
        names = [quantity.name for quantity in wanted]
        guessed = [names.index("photons"), names.index("background")]
        to_outputs = torch.zeros(2, 2 * len(wanted))
        for i, k in enumerate(guessed):
            to_outputs[i, k] = 1.0 / wanted[k].scale
        middles = torch.tensor([wanted[k].middle for k in guessed])
        self.register_buffer("to_outputs", to_outputs, persistent=False)
        self.register_buffer("middles", middles, persistent=False)
        self.by_light = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2 * len(wanted)))
        for value in self.by_light[2].parameters():
            nn.init.zeros_(value)

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return raw outputs, (n, 2 quantities), of boxes in photons, (n, 1, box, box)."""
        # Written as products, as autocast would round a matrix product.
        guess = first_guess(photons) - self.middles
        raw: Tensor = self.layers(photons, variance).float() + self.by_light(guess).float()
        return raw + (guess[..., None] * self.to_outputs).sum(dim=1)
