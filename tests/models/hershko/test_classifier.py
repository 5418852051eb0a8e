"""The classifier of boxes: its layers, what it is blind to, and what it learns."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")

from rtsmlm.models.bgnet.samples import gaussian_spots  # noqa: E402
from rtsmlm.models.hershko.classifier import CLASSIFIERS, ColourClassifier  # noqa: E402


def boxes_of(sigma_px: torch.Tensor, photons: float = 4000.0) -> torch.Tensor:
    """Round spots of these widths within the middle pixel, with shot noise, (n, 1, 13, 13)."""
    n, generator = len(sigma_px), torch.Generator().manual_seed(1)
    x, y = (torch.rand(n, 1, generator=generator) - 0.5 for _ in range(2))
    mean = photons * gaussian_spots(x, y, sigma_px[:, None], 13) + 10.0
    return torch.poisson(mean, generator=generator)[:, None]


def test_there_is_a_logit_for_each_dye() -> None:
    network = ColourClassifier(CLASSIFIERS["paper"], 3)

    assert network(torch.full((2, 1, 13, 13), 20.0)).shape == (2, 3)
    assert sum(p.numel() for p in ColourClassifier(CLASSIFIERS["S"], 2).parameters()) < 100_000


def test_light_of_twice_the_brightness_has_the_same_shape() -> None:
    torch.manual_seed(0)
    network = ColourClassifier(CLASSIFIERS["S"], 2).eval()
    spot = gaussian_spots(torch.zeros(1, 1), torch.zeros(1, 1), torch.full((1, 1), 1.3), 13)

    with torch.no_grad():
        dim, bright = (network(light * spot[:, None] + 10.0) for light in (4000.0, 8000.0))

    assert float((dim - bright).abs().max()) < 0.2 * float(dim.abs().max() + 1.0)


def test_spots_of_two_widths_are_learned_in_few_steps() -> None:
    torch.manual_seed(0)
    network = ColourClassifier(CLASSIFIERS["S"], 2)
    dye = torch.arange(128) % 2
    boxes = boxes_of(torch.where(dye == 0, 1.1, 1.6))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(network(boxes), dye)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    right = network(boxes_of(torch.where(dye == 0, 1.1, 1.6))).argmax(dim=1) == dye
    assert float(right.float().mean()) > 0.9
