"""Frames are drawn again from maps, and the flagship learns a PSF from frames without truth."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="learning needs torch")

from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.flagship.maps import BACKGROUND_CHANNEL, BACKGROUND_SCALE, Map  # noqa: E402
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork  # noqa: E402
from rtsmlm.models.flagship.rerendering import LearnedPsf, misfit, render  # noqa: E402
from rtsmlm.models.flagship.self_supervision import Frames, SelfSupervision  # noqa: E402
from rtsmlm.models.half_precision import load_weights  # noqa: E402
from rtsmlm.models.manifest import read_manifest  # noqa: E402
from rtsmlm.models.simulation.scenes import pixel_integrals  # noqa: E402

SIGMA_PX, BACKGROUND = 1.5, 20.0


def alone(psf: LearnedPsf) -> LearnedPsf:
    """Leave a PSF its first Gaussian."""
    with torch.no_grad():
        psf.logits.copy_(torch.tensor([0.0, -40.0, -40.0]))
    return psf


def maps_of_one(
    x_px: float, y_px: float, photons: float, probability: float = 1.0 - 1e-6
) -> torch.Tensor:
    """Return maps of one emitter on a frame of 32 x 32 pixels."""
    slots = torch.zeros(1, 7, 32, 32)
    slots[:, Map.LOGIT] = -20.0
    row, column = round(y_px), round(x_px)
    slots[0, Map.LOGIT, row, column] = math.log(probability / (1.0 - probability))
    slots[0, Map.DX, row, column] = math.atanh(x_px - column)
    slots[0, Map.DY, row, column] = math.atanh(y_px - row)
    slots[0, Map.PHOTONS, row, column] = math.log(photons / 1000.0)
    maps = torch.zeros(1, 32, 16, 16)
    maps[:, :BACKGROUND_CHANNEL] = torch.nn.functional.pixel_unshuffle(slots, 2)
    maps[:, BACKGROUND_CHANNEL] = math.log(BACKGROUND) / BACKGROUND_SCALE
    return maps


def spot(x_px: float, y_px: float, photons: float, sigma_px: float) -> torch.Tensor:
    row, column = (
        pixel_integrals(torch.tensor(at), torch.tensor(sigma_px), 32) for at in (y_px, x_px)
    )
    return photons * row[:, None] * column + BACKGROUND


@pytest.mark.parametrize("place", [(15.2, 16.7), (1.0, 30.6)])
def test_an_emitter_is_drawn_where_it_is_found_also_at_an_edge(place: tuple[float, float]) -> None:
    with torch.no_grad():
        mean, unsure = render(maps_of_one(*place, 3000.0), alone(LearnedPsf(SIGMA_PX)))

    assert torch.allclose(mean[0], spot(*place, 3000.0, SIGMA_PX), rtol=1e-3, atol=0.1)
    assert float(unsure.max()) < 1.0


def test_an_emitter_that_may_not_be_there_is_noise() -> None:
    with torch.no_grad():
        _, unsure = render(maps_of_one(15.0, 15.0, 1000.0, 0.5), alone(LearnedPsf(SIGMA_PX)))

    share = (spot(15.0, 15.0, 1.0, SIGMA_PX) - BACKGROUND).max()
    assert float(unsure.max()) == pytest.approx(0.25 * 1e6 * float(share) ** 2, rel=0.01)


def test_frames_are_likeliest_with_the_width_that_drew_them() -> None:
    frame = spot(15.3, 15.6, 3000.0, SIGMA_PX)[None]
    maps, noise = maps_of_one(15.3, 15.6, 3000.0), torch.ones(1, 32, 32)

    with torch.no_grad():
        found = {
            width: float(misfit(frame, noise, maps, alone(LearnedPsf(width))))
            for width in (1.2, 1.4, 1.5, 1.6, 1.9)
        }

    assert min(found, key=lambda width: found[width]) == SIGMA_PX


def test_a_psf_has_its_centre_of_light_at_the_emitter() -> None:
    psf = LearnedPsf(SIGMA_PX)
    with torch.no_grad():
        psf.places_px.copy_(torch.tensor([[0.5, 0.0], [2.0, -1.0], [-1.5, 2.0]]))
        psf.logits.zero_()
        image = psf(torch.zeros(1), torch.zeros(1), 31)[0]
    at = torch.arange(31) - 15.0

    assert float((image.sum(dim=0) * at).sum()) == pytest.approx(0.0, abs=0.02)
    assert float((image.sum(dim=1) * at).sum()) == pytest.approx(0.0, abs=0.02)


def learner(told_px: float, model: str = "flagship-2d-fast") -> SelfSupervision:
    """Return a flagship on frames of a PSF that is 1.5 pixels wide."""
    generator = torch.Generator().manual_seed(4)
    mean = torch.full((16, 48, 48), BACKGROUND)
    for frame in mean:
        for x, y in (torch.rand(8, 2, generator=generator) * 40.0 + 4.0).tolist():
            row, column = (
                pixel_integrals(torch.tensor(at), torch.tensor(SIGMA_PX), 48) for at in (y, x)
            )
            frame += 3000.0 * row[:, None] * column
    photons = torch.poisson(mean, generator=generator)
    windows = torch.stack([torch.full_like(photons, BACKGROUND), photons, photons], dim=1)
    windows[:, 2] = BACKGROUND
    folder = find_model(model)
    network = FlagshipNetwork(SIZES[read_manifest(folder).size])
    weights = load_weights(folder)
    network.load_state_dict({name: torch.from_numpy(v.copy()) for name, v in weights.items()})
    return SelfSupervision(network, Frames(windows, torch.ones(1, 48, 48)), told_px)


def test_a_psf_that_is_wider_than_stated_is_measured_on_the_frames() -> None:
    work = learner(1.3, "flagship-2d")

    widths = list(work.measure_psf())

    assert work.sigma_px == widths[-1] == pytest.approx(SIGMA_PX, abs=0.06)


def test_the_convolutions_stay_as_they_are() -> None:
    work = learner(1.3)
    before = {name: v.clone() for name, v in work.network.state_dict().items()}

    work.step(2)

    changed = {
        name for name, v in work.network.state_dict().items() if not torch.equal(v, before[name])
    }
    assert changed
    assert all(name.startswith(("condition_", "out.")) for name in changed)


def test_a_state_is_gone_back_to() -> None:
    work = learner(1.3)
    state = work.state()
    misfit_before = work.held_out(work._frames, 4)
    work.step(2)

    work.restore(state)

    assert work.sigma_px == 1.3
    assert work.held_out(work._frames, 4) == pytest.approx(misfit_before, abs=1e-5)
