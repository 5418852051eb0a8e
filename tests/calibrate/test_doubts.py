"""A bead calibration that its own figures disprove is not written as a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.special import erf
from typer.testing import CliRunner

from rtsmlm.calibrate.astigmatic import calibrate_astigmatic
from rtsmlm.calibrate.beads import BeadWidths
from rtsmlm.calibrate.psf import calibrate_focus
from rtsmlm.cli.calibrate import app

F64 = NDArray[np.float64]
STEP_NM = 50.0
SWEEP = np.arange(-500.0, 501.0, STEP_NM)
SIGMA_NM, DEPTH_NM, SHIFT_NM = 130.0, 400.0, 200.0


def widths_at(stage_nm: F64, *, astigmatic: bool, noise: float = 0.01, n: int = 8) -> BeadWidths:
    """Widths of beads that a stage showed at these heights, plane after plane."""
    random = np.random.default_rng(4)
    shift = SHIFT_NM if astigmatic else 0.0
    shape = (n, len(stage_nm))

    def width(at_nm: F64) -> F64:
        exact = SIGMA_NM * np.sqrt(1 + (at_nm / DEPTH_NM) ** 2)
        return exact * (1 + noise * random.standard_normal(shape))

    return BeadWidths(
        sigma_x_nm=width(stage_nm - shift),
        sigma_y_nm=width(stage_nm + shift),
        photons=np.full(shape, 20_000.0),
        position_px=np.zeros((n, 2)),
        pixel_nm=100.0,
        box_px=17,
        n_rejected=0,
    )


STAGES = {
    "down and up again": np.concatenate([SWEEP, SWEEP[::-1]]),
    "partly back": np.concatenate([SWEEP, SWEEP[::-1][:8]]),
    "shuffled": np.random.default_rng(2).permutation(SWEEP),
    "a jump": np.where(SWEEP < 0, SWEEP, SWEEP + 250),
    "unequal steps": SWEEP + np.random.default_rng(5).uniform(-60, 60, len(SWEEP)),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("astigmatic", [True, False], ids=["astigmatic", "round"])
def test_a_stage_that_did_not_go_one_way_in_equal_steps_is_found_out(
    stage: str, astigmatic: bool
) -> None:
    widths = widths_at(STAGES[stage], astigmatic=astigmatic)

    found = (calibrate_astigmatic if astigmatic else calibrate_focus)(widths, STEP_NM)

    assert found.doubts
    for doubt in found.doubts:
        assert any(word in doubt for word in ("at most", "at least")), "no limit is named"
        assert any(character.isdigit() for character in doubt)


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.02])
@pytest.mark.parametrize("step_nm", [20.0, 50.0, -50.0])
def test_a_good_stack_is_not_doubted_whichever_way_the_stage_went(
    noise: float, step_nm: float
) -> None:
    stage = np.arange(-500.0, 501.0, abs(step_nm))
    for astigmatic, calibrate in ((True, calibrate_astigmatic), (False, calibrate_focus)):
        widths = widths_at(stage, astigmatic=astigmatic, noise=noise)

        assert calibrate(widths, step_nm).doubts == ()


def test_a_stack_beside_the_focus_is_doubted() -> None:
    stage = np.arange(250.0, 1250.0, STEP_NM)

    [doubt] = calibrate_astigmatic(widths_at(stage, astigmatic=True), STEP_NM).doubts

    assert "outside of the stack" in doubt


@pytest.mark.parametrize("wrong", [5.0, 500.0])
def test_a_step_that_makes_light_too_deep_or_too_shallow_is_doubted(wrong: float) -> None:
    for astigmatic, calibrate in ((True, calibrate_astigmatic), (False, calibrate_focus)):
        doubts = calibrate(widths_at(SWEEP, astigmatic=astigmatic), wrong).doubts

        assert any("check --z-step-nm" in doubt for doubt in doubts)


def test_beads_whose_widths_scatter_are_doubted() -> None:
    widths = widths_at(SWEEP, astigmatic=False, n=9)
    factor = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5])[:, None]
    widths.sigma_x_nm[:] *= factor
    widths.sigma_y_nm[:] *= factor

    doubts = calibrate_focus(widths, STEP_NM).doubts

    assert any("scatter" in doubt for doubt in doubts)


def stack(stage_nm: F64, photons: float, top: int, strong: tuple[int, ...] = (0, 1, 2, 3)) -> F64:
    """Four beads, astigmatic; those named are as bright as asked, the others a tenth."""
    random = np.random.default_rng(7)
    places = [(17.2, 16.8), (50.6, 17.3), (16.9, 50.1), (49.7, 50.4)]
    edges = np.arange(68) - 0.5
    frames = np.full((len(stage_nm), 67, 67), 10.0)
    for k, z in enumerate(stage_nm):
        sx = 1.3 * np.sqrt(1 + ((z - SHIFT_NM) / DEPTH_NM) ** 2)
        sy = 1.3 * np.sqrt(1 + ((z + SHIFT_NM) / DEPTH_NM) ** 2)
        for bead, (x, y) in enumerate(places):
            light = photons if bead in strong else photons / 10
            ex, ey = (
                np.diff(erf((edges - c) / (s * np.sqrt(2)))) / 2 for c, s in ((x, sx), (y, sy))
            )
            frames[k] += light * np.outer(ey, ex)
    adu = 100 + random.poisson(frames) + random.normal(0, 1.6, frames.shape)
    return np.clip(np.round(adu), 0, top).astype(np.uint16)


def run(folder: Path, pixels: F64, *options: str) -> tuple[int, str]:
    tifffile.imwrite(folder / "beads.tif", pixels, photometric="minisblack")
    result = CliRunner().invoke(
        app,
        ["psf", str(folder / "beads.tif"), "--z-step-nm", "50", "--astigmatic", "--pixel-nm",
         "100", "--out", str(folder / "psf"), *options],
    )  # fmt: skip
    return result.exit_code, " ".join(f"{result.output} {result.exception or ''}".split())


@pytest.mark.parametrize("top", [4095, 3170])
def test_full_beads_are_found_at_any_ceiling_and_written_only_by_force_and_marked(
    tmp_path: Path, top: int
) -> None:
    pixels = stack(SWEEP, 150_000, top)
    written = tmp_path / "psf" / "psf_astigmatic.toml"

    code, text = run(tmp_path, pixels)
    assert code != 0
    assert f"all 4 beads reach {top} ADU" in text
    assert not written.exists()
    assert (tmp_path / "psf" / "psf.svg").exists()

    code, text = run(tmp_path, pixels, "--force")
    assert code == 0
    assert "doubtful" in text
    assert written.read_text(encoding="utf-8").startswith("# DOUBTFUL: all 4 beads reach")


def test_full_beads_are_left_out_where_others_are_not_full(tmp_path: Path) -> None:
    code, text = run(tmp_path, stack(SWEEP, 150_000, 4095, strong=(1,)))

    assert code == 0, text
    assert "1 of 4 beads reach 4095 ADU" in text
    written = (tmp_path / "psf" / "psf_astigmatic.toml").read_text(encoding="utf-8")
    assert "DOUBTFUL" not in written
    assert "Beads: 3" in written


def test_what_is_noted_of_too_few_beads_stands_in_the_file_too(tmp_path: Path) -> None:
    code, text = run(tmp_path, stack(SWEEP, 20_000, 65535)[:, :34, :34])

    assert code == 0, text
    assert "1 bead(s) only" in text
    written = (tmp_path / "psf" / "psf_astigmatic.toml").read_text(encoding="utf-8")
    assert "# Note: 1 bead(s) only; take five or more" in written


def test_a_stack_down_and_up_again_ends_with_its_figure_and_the_limit(tmp_path: Path) -> None:
    code, text = run(tmp_path, stack(np.concatenate([SWEEP, SWEEP[::-1]]), 20_000, 65535))

    assert code != 0
    assert "of its range from the first plane to the last (at least 50 %)" in text
    assert not (tmp_path / "psf" / "psf_astigmatic.toml").exists()
