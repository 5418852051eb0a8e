"""Loss of ANNA-PALM: likeness to the whole image, and what the critic makes of it.

Both networks learn in one step by one sum. The critic's part of it is taken at images that are cut
off from the generator, the generator's at a copy of the critic that does not learn: each term has
a slope along the weights of one of them alone, so that no second optimizer is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from rtsmlm.models.annapalm.network import AnnaPalmNetwork
from rtsmlm.models.dense_images.scaling import FULL, given, wanted
from rtsmlm.models.dense_images.similarity import mixed_loss
from rtsmlm.models.simulation.localization_lists import ListPairs

CONTENT_WEIGHT, FOOLED_WEIGHT = 1.0, 1.0 / 50.0
"""Of the likeness and of the critic's opinion."""


@dataclass(frozen=True, slots=True)
class Output:
    """An image, and what the critic makes of it."""

    image: Tensor
    """Between -1 and 1, (n, 1, height, width)."""
    of_true: Tensor
    """The critic on whole images; 1 is true."""
    of_made: Tensor
    """The critic on the images of the generator, for the critic to learn."""
    of_made_frozen: Tensor
    """The same, for the generator to learn."""


def inputs_of(sparse: Tensor, widefield: Tensor) -> Tensor:
    """Return what the networks are given, (n, 2, height, width).

    Parameters
    ----------
    sparse
        Blurred localizations in units of their level, (n, 1, height, width).
    widefield
        Light, in any unit; one value everywhere means that there is none.
    """
    mean = widefield.mean(dim=(2, 3), keepdim=True)
    apart = widefield - mean
    spread = apart.square().mean(dim=(2, 3), keepdim=True).sqrt()
    # Of no light at all nothing is left; rounding is not made large.
    return torch.cat([sparse, apart / (spread + 1e-3 * mean.abs() + 1e-6)], dim=1)


def output_of(network: AnnaPalmNetwork, samples: ListPairs) -> Output:
    """Return the image of samples, and what the critic makes of it and of the whole image."""
    inputs = inputs_of(given(samples), samples.widefield)
    image = network.generator(inputs, samples.structure)
    true = torch.cat([inputs, 2.0 * wanted(samples) / FULL - 1.0], dim=1)
    made = torch.cat([inputs, image], dim=1)
    still = {name: value.detach() for name, value in network.critic.named_parameters()}
    return Output(
        image,
        network.critic(true),
        network.critic(made.detach()),
        functional_call(network.critic, still, (made,)),
    )


def loss_of(output: Output, samples: ListPairs) -> dict[str, Tensor]:
    """Return the loss as `total`, and its parts.

    The critic learns by least squares: Mao et al., ICCV (2017).
    """
    content = mixed_loss((output.image.float() + 1.0) / 2.0, wanted(samples) / FULL)
    fooled = (output.of_made_frozen.float() - 1.0).square().mean()
    critic = (output.of_true.float() - 1.0).square().mean() + output.of_made.float().square().mean()
    total = CONTENT_WEIGHT * content["total"] + FOOLED_WEIGHT * fooled + 0.5 * critic
    parts = {"unlike": content["unlike"], "away": content["away"]}
    return {"total": total, **parts, "fooled": fooled, "critic": critic}
