"""Windows of one PSF: its light, its depths, and where the recipe finds it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.simulation.emitters import Emitters  # noqa: E402
from rtsmlm.models.simulation.one_psf import OnePsfSampler  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.simulation.psf_section import PsfSection  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.training_windows import TARGET, Windows  # noqa: E402
from rtsmlm.models.training.recipe import load_recipe  # noqa: E402
from rtsmlm.physics.psf import TablePsf  # noqa: E402
from rtsmlm.physics.psf_file import save_psf  # noqa: E402
from rtsmlm.physics.pupil import Optics, pupil_psf  # noqa: E402

CPU = torch.device("cpu")
SECTION = PsfSection(z_nm=(-300.0, 600.0))


def table_of(*, box_px: int = 15, fine_per_px: int = 3) -> TablePsf:
    return pupil_psf(
        Optics(zernike_nm={(2, 2): 70.0}),
        pixel_nm=100.0,
        vectorial=False,
        z_range_nm=600.0,
        z_step_nm=100.0,
        box_px=box_px,
        fine_per_px=fine_per_px,
        pupil_points=32,
    )


@pytest.fixture(scope="module")
def table() -> TablePsf:
    return table_of()


def emitters_of(
    x: list[float], y: list[float], z_nm: list[float], photons: float = 1000.0
) -> Emitters:
    places = [torch.tensor([v], dtype=torch.float32) for v in (x, y, z_nm)]
    light = torch.full((1, 3, len(x)), photons)
    ones = torch.ones_like(places[0])
    depth = (places[2] - SECTION.middle_nm) / SECTION.half_nm
    return Emitters(places[0], places[1], ones, ones, light, depth)


@pytest.mark.parametrize(("box_px", "fine_per_px"), [(15, 3), (12, 3), (16, 4)])
def test_spots_equal_those_of_the_microscope_at_any_place_and_depth(
    box_px: int, fine_per_px: int
) -> None:
    table = table_of(box_px=box_px, fine_per_px=fine_per_px)
    x, y = [10.0, 16.37, 31.9, -3.2, 20.5], [16.0, 9.81, 30.1, 12.0, 33.4]
    z_nm = [0.0, 137.0, -280.0, 560.0, 600.0]

    image = OnePsfSampler(SimulationRanges(), table, SECTION, CPU).render(
        emitters_of(x, y, z_nm), 32
    )

    expected = np.zeros((32, 32), dtype=np.float32)
    table.render(expected, np.array(x), np.array(y), np.array(z_nm), np.full(5, 1000.0))
    for frame in image[0].numpy():
        np.testing.assert_allclose(frame, expected, atol=1e-3)


def test_no_photon_is_lost(table: TablePsf) -> None:
    sampler = OnePsfSampler(SimulationRanges(), table, SECTION, CPU)

    image = sampler.render(emitters_of([15.49], [16.51], [333.0]), 40)

    assert image[0, TARGET].sum().item() == pytest.approx(1000.0, rel=1e-5)


def drawn(table: TablePsf, section: PsfSection, **changes: object) -> Windows:
    ranges = SimulationRanges(crop_px=32, density=(0.5, 1.0), empty_fraction=0.0)
    sampler = OnePsfSampler(ranges.model_copy(update=changes), table, section, CPU)
    return sampler(40, torch.Generator().manual_seed(3), 1.0)


def test_depths_fill_the_range_evenly_and_are_told_in_halves_of_it(table: TablePsf) -> None:
    z = drawn(table, PsfSection(z_nm=(-300.0, 600.0), thin_fraction=0.0)).targets.z
    assert z is not None

    assert z.abs().max().item() <= 1.0
    assert torch.quantile(z, torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx(
        [-0.5, 0.0, 0.5], abs=0.12
    )


def test_thin_samples_have_their_emitters_near_one_depth(table: TablePsf) -> None:
    section = PsfSection(z_nm=(-300.0, 600.0), thin_fraction=1.0, thickness=(0.01, 0.02))
    targets = drawn(table, section).targets
    assert targets.z is not None

    spreads = [targets.z[targets.window == k] for k in range(40)]
    spread = np.median([float(z.std()) for z in spreads if len(z) > 4])

    assert spread < 0.05


def test_the_light_of_a_window_is_that_of_the_emitters_asked_for(table: TablePsf) -> None:
    windows = drawn(
        table,
        SECTION,
        photons=(2e4, 2e4),
        background=(1.0, 1.0),
        haze_fraction=0.0,
        emccd_fraction=0.0,
        ideal_fraction=1.0,
        moving_fraction=0.0,
    )
    targets = windows.targets
    assert targets.z is not None
    expected = np.zeros((40, 32, 32), dtype=np.float32)
    z_nm = SECTION.middle_nm + SECTION.half_nm * targets.z
    for k in range(40):
        mine = targets.window == k
        columns = [v[mine].numpy().astype(float) for v in (targets.x_px, targets.y_px, z_nm)]
        table.render(expected[k], *columns, targets.photons[mine].numpy().astype(float))

    # Away from the edges, where emitters outside shine in too.
    inside = (slice(None), slice(8, 24), slice(8, 24))
    found = windows.photons[:, TARGET].numpy()[inside]

    assert np.corrcoef(found.ravel(), expected[inside].ravel())[0, 1] > 0.95


def test_the_same_seed_draws_the_same_windows(table: TablePsf) -> None:
    assert torch.equal(drawn(table, SECTION).photons, drawn(table, SECTION).photons)


def test_a_recipe_finds_the_psf_file_that_lies_beside_it(table: TablePsf, tmp_path: Path) -> None:
    save_psf(tmp_path / "beads.npz", table, pixel_nm=117.0, origin="beads of a test")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[psf]\nfile = "beads.npz"\nz_nm = [-400, 400]\n', encoding="utf-8")

    loaded = load_recipe(recipe)
    stored = loaded.psf.load(OpticsSection())

    assert stored.pixel_nm == 117.0
    # What is published with a model names the file, and no folder of the machine.
    assert loaded.published().psf.file == Path("beads.npz")
    np.testing.assert_array_equal(stored.table.sums, table.sums)


def test_a_psf_that_holds_fewer_depths_than_the_recipe_asks_for_is_refused(
    table: TablePsf, tmp_path: Path
) -> None:
    file = tmp_path / "thin.npz"
    save_psf(file, replace(table, sums=table.sums[4:9]), pixel_nm=100.0, origin="a few planes")

    with pytest.raises(ConfigError, match=r"psf\.z_nm is -750 to 750 nm, but the PSF of .* holds"):
        PsfSection(file=file).load(OpticsSection())


def test_without_a_file_the_psf_is_computed_over_the_whole_range() -> None:
    stored = PsfSection(z_nm=(0.0, 300.0), z_step_nm=150.0, box_px=9).load(
        OpticsSection(vectorial=False, pixel_nm=110.0)
    )

    low, high = stored.z_nm
    assert low <= 0.0
    assert high >= 300.0
    assert stored.pixel_nm == 110.0
