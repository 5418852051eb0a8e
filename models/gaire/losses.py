"""Loss of the network of Gaire et al.: squared distance to the whole image, and how unlike it is.

The mean of all images that the localizations allow has the least squared distance: what is not
known stays smooth. Alone it blurs what is known, too; the similarity keeps that sharp.
"""

from __future__ import annotations

from torch import Tensor

from rtsmlm.models.dense_images.scaling import FULL, wanted
from rtsmlm.models.dense_images.similarity import ms_ssim
from rtsmlm.models.simulation.localization_lists import ListPairs

UNLIKE_WEIGHT = 0.16


def loss_of(output: Tensor, samples: ListPairs) -> dict[str, Tensor]:
    """Return the loss as `total`, and its parts.

    Parameters
    ----------
    output
        Images in units of their level, (n, 1, height, width).
    samples
        What they were made of.
    """
    image, target = output.float(), wanted(samples)
    squared = (image - target).square().mean()
    unlike = (1.0 - ms_ssim(image / FULL, target / FULL)).mean()
    return {"total": squared + UNLIKE_WEIGHT * unlike, "squared": squared, "unlike": unlike}
