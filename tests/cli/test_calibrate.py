"""`rtsmlm calibrate`: what is refused, and what the written files hold."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from rtsmlm.cli.calibrate import app
from rtsmlm.errors import CalibrationError, ConfigError, RtsmlmError, SinkError
from rtsmlm.physics.psf_file import load_psf

SHAPE = (24, 32)
OFFSET_ADU, GAIN, READ_E = 100.0, 2.0, 1.5


def camera_movie(path: Path, light_e: float, n: int, rng: np.random.Generator) -> Path:
    electrons = rng.poisson(light_e, (n, *SHAPE)) + rng.normal(0, READ_E, (n, *SHAPE))
    tifffile.imwrite(path, np.rint(OFFSET_ADU + GAIN * electrons).astype(np.uint16))
    return path


@pytest.fixture
def dark(tmp_path: Path, rng: np.random.Generator) -> Path:
    return camera_movie(tmp_path / "dark.tif", 0.0, 300, rng)


@pytest.fixture
def light(tmp_path: Path, rng: np.random.Generator) -> Path:
    return camera_movie(tmp_path / "light.tif", 200.0, 300, rng)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def settings_in(folder: Path) -> dict[str, object]:
    read: dict[str, object] = tomllib.loads((folder / "camera.toml").read_text(encoding="utf-8"))[
        "camera"
    ]
    return read


def test_the_settings_hold_electrons_per_adu_and_maps_beside_them(
    dark: Path, light: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps"

    result = run("camera", dark, light, "--out", out)

    assert result.exit_code == 0, result.output
    camera = settings_in(out)
    assert camera["offset_adu"] == pytest.approx(OFFSET_ADU, abs=0.1)
    assert camera["e_per_adu"] == pytest.approx(1 / GAIN, rel=0.02)
    assert camera["read_noise_e"] == pytest.approx(READ_E, rel=0.05)
    assert camera["maps"] == {n: f"{n}.npy" for n in ("offset", "variance", "gain")}
    for name, value in (("offset", OFFSET_ADU), ("variance", (READ_E * GAIN) ** 2), ("gain", GAIN)):
        values = np.load(out / f"{name}.npy")
        assert values.shape == SHAPE
        assert np.median(values) == pytest.approx(value, rel=0.05)


def test_a_gain_of_an_earlier_measurement_does_not_stay_beside_a_new_offset(
    dark: Path, light: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps"
    run("camera", dark, light, "--out", out)

    result = run("camera", dark, "--out", out)

    assert result.exit_code == 0
    assert not (out / "gain.npy").exists()
    assert "e_per_adu" not in settings_in(out)
    assert "gain" not in str(settings_in(out)["maps"])


def test_an_em_gain_is_divided_out_and_kept(dark: Path, light: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"

    run("camera", dark, light, "--out", out, "--em-gain", "100")

    camera = settings_in(out)
    assert camera["em_gain"] == 100.0
    # The slope is gain times EM gain times an excess noise of 2.
    assert camera["e_per_adu"] == pytest.approx(200 / GAIN, rel=0.03)


@pytest.mark.parametrize("em_gain", ["0.5", "-3", "many"])
def test_an_em_gain_below_one_is_a_mistake_of_the_command_line(dark: Path, em_gain: str) -> None:
    result = run("camera", dark, "--em-gain", em_gain)

    assert result.exit_code == 2
    assert "--em-gain" in result.output


def test_a_folder_that_cannot_be_written_is_a_sink_error(dark: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    error = run("camera", dark, "--out", tmp_path / "file" / "maps").exception

    assert isinstance(error, SinkError)
    assert "cannot write to" in str(error)


def test_a_movie_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = run("camera", tmp_path / "none.tif").exception

    assert isinstance(error, RtsmlmError)
    assert "none.tif" in str(error)


@pytest.fixture
def beads(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a stack of six planes with noise and no bead."""
    path = tmp_path / "beads.tif"
    tifffile.imwrite(path, rng.poisson(110, (6, 64, 64)).astype(np.uint16))
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--z-step-nm", "0"), "planes lie some 10 to 100 nm apart"),
        (("--z-step-nm", "nan"), "planes lie some 10 to 100 nm apart"),
        (("--astigmatic",), "give its --z-step-nm"),
        (("--table",), "give its --z-step-nm"),
        (("--table", "--z-step-nm", "50", "--table-px", "20"), "such as 21"),
        (("--box-px", "8"), "such as 9"),
        (("--z-step-nm", "50", "--planes", "4"), "no whole number of stacks of 4 planes"),
    ],
)
def test_options_without_sense_are_refused_with_what_to_do(
    beads: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    error = run("psf", beads, "--pixel-nm", "100", "--out", tmp_path / "psf", *options).exception

    assert isinstance(error, ConfigError)
    assert message in str(error)
    assert not (tmp_path / "psf").exists()


def test_an_image_without_beads_writes_no_width(beads: Path, tmp_path: Path) -> None:
    error = run("psf", beads, "--pixel-nm", "100", "--out", tmp_path / "psf").exception

    assert isinstance(error, CalibrationError)
    assert "no isolated bead was found" in str(error)
    assert not (tmp_path / "psf").exists()


def test_beads_become_a_psf_file_with_the_places_that_are_stated(
    data_dir: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = data_dir("challenge2016_beads")
    camera = (f"camera.{value}" for value in ("offset_adu=100", "em_gain=300", "e_per_adu=45"))
    options = [option for value in camera for option in ("--set", value)]
    options += ["--table", "--z-step-nm", "10", "--pixel-nm", "100", "--out", tmp_path]
    options += ["--positions", folder / "truth.csv"]

    assert run("psf", folder / "beads_as.tif", *options).exit_code == 0
    stored = load_psf(tmp_path / "psf_table.npz")

    assert stored.z_nm == pytest.approx((-750.0, 750.0))
    image = np.zeros((33, 33), dtype=np.float32)
    stored.table.render(image, *(np.array([v]) for v in (16.0, 16.0, 0.0, 1.0)))
    near = image[11:22, 11:22].sum(axis=1)
    # The truth of the challenge lies 45 nm beside the spot along y; a fit of the spot cannot know.
    assert near @ np.arange(11.0) / near.sum() - 5 == pytest.approx(-0.45, abs=0.12)
