"""The network after Zelger et al."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")

from rtsmlm.models.zelger.network import SIZES, ZelgerNetwork  # noqa: E402


def count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_size_of_the_paper_has_its_parameters() -> None:
    assert count(ZelgerNetwork(SIZES["paper"])) == 419_045


def test_each_further_quantity_costs_one_row_of_the_last_layer() -> None:
    more = SIZES["paper"].model_copy(update={"outputs": 17})
    assert count(ZelgerNetwork(more)) - count(ZelgerNetwork(SIZES["paper"])) == 12 * 257


def test_the_packaged_size_is_small_enough_for_a_live_stream() -> None:
    network = ZelgerNetwork(SIZES["S"].model_copy(update={"outputs": 20}), noise=True)
    assert count(network) < 150_000
    answer = network(torch.full((3, 1, 16, 16), 20.0), torch.ones(3, 1, 16, 16))
    assert answer.shape == (3, 20)
    assert bool(torch.isfinite(answer).all())


def test_the_read_noise_of_the_camera_changes_what_it_answers() -> None:
    torch.manual_seed(0)
    network = ZelgerNetwork(SIZES["S"], noise=True)
    box = torch.rand(1, 1, 16, 16) * 50.0
    quiet, noisy = (network(box, torch.full_like(box, v)) for v in (0.5, 9.0))
    assert not torch.allclose(quiet, noisy)
