"""Computed PSFs in training windows are those of the simulated microscope."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.simulation.emitters import Emitters  # noqa: E402
from rtsmlm.models.simulation.psf_bank import (  # noqa: E402
    PsfBank,
    make_bank,
    render_from_bank,
)
from rtsmlm.models.simulation.ranges import AstigmatismRanges, SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.spot_tables import spot_tables  # noqa: E402
from rtsmlm.models.simulation.training_windows import simulate  # noqa: E402
from rtsmlm.physics.psf import TablePsf  # noqa: E402
from rtsmlm.physics.pupil import Optics, pupil_psf  # noqa: E402


@pytest.fixture(scope="module")
def bank() -> PsfBank:
    return make_bank(SimulationRanges(computed_psfs=2), 0)


def emitters_of(x: list[float], y: list[float], u: list[float], photons: float) -> Emitters:
    places = [torch.tensor([v], dtype=torch.float32) for v in (x, y, u)]
    light = torch.zeros(1, 3, len(x))
    light[:, 1] = photons
    ones = torch.ones_like(places[0])
    return Emitters(places[0], places[1], ones, ones, light, places[2])


def test_each_window_has_the_spots_of_its_own_psf() -> None:
    x, y = [20.3, 40.0, 61.9, -2.4], [31.8, 12.5, 60.2, 30.0]
    z_nm = np.array([0.0, 310.0, -480.0, 105.0])
    tables = [table_of(astigmatism_nm) for astigmatism_nm in (0.0, 70.0)]
    ones = torch.ones(2)
    bank = PsfBank(spot_tables(tables), ones, 40.0 * ones, 300.0 * ones, ones[:, None])
    emitters = emitters_of(x, y, list((z_nm - 40.0) / 300.0), 1000.0)

    image = render_from_bank(bank, torch.tensor([1]), emitters, 64)[0].numpy()

    expected = np.zeros((64, 64), dtype=np.float32)
    tables[1].render(expected, np.array(x), np.array(y), z_nm, np.full(4, 1000.0))
    np.testing.assert_allclose(image[1], expected, atol=1e-3)
    assert not image[0].any()
    assert not image[2].any()


def table_of(astigmatism_nm: float) -> TablePsf:
    optics = Optics(zernike_nm={(2, 2): astigmatism_nm})
    return pupil_psf(optics, pixel_nm=100, vectorial=False, z_step_nm=150, box_px=15, fine_per_px=3)


def test_no_photon_is_lost(bank: PsfBank) -> None:
    emitters = emitters_of([30.4], [33.7], [0.5], 500.0)

    image = render_from_bank(bank, torch.tensor([0]), emitters, 64)

    assert image.sum().item() == pytest.approx(500.0, rel=1e-4)


def test_widths_in_focus_are_those_of_real_objectives(bank: PsfBank) -> None:
    # 0.21 wavelengths per NA is 79 to 124 nm, on pixels of 65 to 130 nm.
    assert torch.all((bank.sigma_px > 0.6) & (bank.sigma_px < 2.0))


def test_a_bank_changes_part_of_the_windows(bank: PsfBank) -> None:
    ranges = SimulationRanges(computed_fraction=0.5)

    def windows(bank: PsfBank | None) -> torch.Tensor:
        return simulate(ranges, 32, torch.Generator().manual_seed(2), bank=bank).photons

    assert bool(torch.isfinite(windows(bank)).all())
    assert not torch.equal(windows(bank), windows(None))


@pytest.fixture(scope="module")
def astigmatic() -> PsfBank:
    ranges = SimulationRanges(astigmatism=AstigmatismRanges(), computed_psfs=3)
    return make_bank(ranges, 1)


def test_astigmatic_psfs_are_told_by_widths_that_cross_in_the_middle_of_the_range(
    astigmatic: PsfBank,
) -> None:
    along_x, along_y = astigmatic.condition[:, :5], astigmatic.condition[:, 5:10]

    assert (along_x[:, 2] - along_y[:, 2]).abs().max().item() < 0.05
    ends = (along_x - along_y)[:, [0, 4]]
    # Wide along x at one end, along y at the other.
    assert bool((ends[:, 0] * ends[:, 1] < 0).all())
    assert bool((astigmatic.condition[:, 10] == 1.0).all())


def test_an_emitter_at_the_end_of_the_range_is_as_wide_as_the_network_is_told(
    astigmatic: PsfBank,
) -> None:
    image = render_from_bank(astigmatic, torch.tensor([0]), emitters_of([32], [32], [1], 1e4), 64)
    spot = image[0, 1, 22:43, 22:43]
    profile = spot.sum(dim=0) if astigmatic.condition[0, 4] > 0.4 else spot.sum(dim=1)

    half = (profile > 0.5 * profile.max()).sum().item()

    wide = 1.3 * float(torch.exp(astigmatic.condition[0, [4, 9]].max()))
    # A defocused spot is flatter than a Gaussian: its full width at half maximum only roughly
    # stands for 2.355 standard deviations.
    assert half == pytest.approx(2.355 * wide, rel=0.35)
