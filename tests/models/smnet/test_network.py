"""The layers of smNet."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")

from rtsmlm.models.smnet.network import SIZES, SmNetwork  # noqa: E402


def count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize(("box_px", "expected"), [(16, 2_671_390), (32, 2_679_070)])
def test_the_published_sizes_have_their_parameters(box_px: int, expected: int) -> None:
    settings = SIZES["paper"].model_copy(update={"box_px": box_px})
    assert count(SmNetwork(settings)) == expected


def test_the_packaged_size_is_small_enough_for_the_repository() -> None:
    assert count(SmNetwork(SIZES["S"].model_copy(update={"outputs": 20}))) < 250_000


def test_the_answer_depends_on_the_form_of_the_light_and_not_on_its_level() -> None:
    torch.manual_seed(1)
    network = SmNetwork(SIZES["S"]).eval()
    side = torch.arange(16.0) - 7.5
    spot = torch.exp(-(side**2 + side[:, None] ** 2) / 6.0)[None, None]
    still = torch.zeros_like(spot)

    dim, bright = (network(level * spot, still) for level in (1e5, 4e5))

    torch.testing.assert_close(dim, bright, atol=2e-3, rtol=0.05)
