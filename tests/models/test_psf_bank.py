"""Computed PSFs in training windows are those of the simulated microscope."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.models.emitters import Emitters  # noqa: E402
from rtsmlm.models.psf_bank import (  # noqa: E402
    DEPTH_OF_FOCUS_NM,
    FINE_PER_PX,
    Z_RANGE_NM,
    Z_STEP_NM,
    PsfBank,
    make_bank,
    render_from_bank,
)
from rtsmlm.models.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.simulation import simulate  # noqa: E402
from rtsmlm.physics.psf import TablePsf  # noqa: E402


@pytest.fixture(scope="module")
def bank() -> PsfBank:
    return make_bank(2, 0, (0.8, 2.4))


def emitters_of(x: list[float], y: list[float], u: list[float], photons: float) -> Emitters:
    places = [torch.tensor([v], dtype=torch.float32) for v in (x, y, u)]
    light = torch.zeros(1, 3, len(x))
    light[:, 1] = photons
    ones = torch.ones_like(places[0])
    return Emitters(places[0], places[1], ones, ones, light, places[2])


def test_spots_equal_those_of_the_microscope_in_and_out_of_focus(bank: PsfBank) -> None:
    # Depths that fall on planes of the table: the microscope interpolates between them.
    x, y = [20.3, 40.0, 61.9, -2.4], [31.8, 12.5, 60.2, 30.0]
    z_nm = np.array([0.0, 300.0, -500.0, 100.0])
    emitters = emitters_of(x, y, list(z_nm / DEPTH_OF_FOCUS_NM), 1000.0)

    image = render_from_bank(bank, torch.tensor([1]), emitters, 64)[0].numpy()

    table = TablePsf(
        sums=bank.sums[1].numpy(),
        fine_per_px=FINE_PER_PX,
        z_first_nm=-Z_RANGE_NM,
        z_step_nm=Z_STEP_NM,
    )
    expected = np.zeros((64, 64), dtype=np.float32)
    table.render(expected, np.array(x), np.array(y), z_nm, np.full(4, 1000.0))
    assert np.abs(image[1] - expected).max() < 0.01 * expected.max()
    assert not image[0].any()
    assert not image[2].any()


def test_next_to_no_photon_is_lost(bank: PsfBank) -> None:
    emitters = emitters_of([30.4], [33.7], [0.5], 500.0)

    image = render_from_bank(bank, torch.tensor([0]), emitters, 64)

    # Some light of a defocused spot falls beyond the table.
    assert image.sum().item() == pytest.approx(500.0, rel=5e-3)


def test_widths_in_focus_are_those_of_real_objectives(bank: PsfBank) -> None:
    # 0.21 wavelengths per NA is 79 to 124 nm, on pixels of 65 to 130 nm.
    assert torch.all((bank.sigma_px > 0.6) & (bank.sigma_px < 2.0))


def test_a_bank_changes_part_of_the_windows(bank: PsfBank) -> None:
    ranges = SimulationRanges(computed_fraction=0.5)

    def windows(bank: PsfBank | None) -> torch.Tensor:
        return simulate(ranges, 32, torch.Generator().manual_seed(2), bank=bank).photons

    assert bool(torch.isfinite(windows(bank)).all())
    assert not torch.equal(windows(bank), windows(None))
