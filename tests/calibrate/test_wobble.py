from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from rtsmlm.calibrate.astigmatic import (
    RUN_BACKGROUND,
    Astigmatism,
    calibrate_astigmatic,
    calibrate_in_run_boxes,
)
from rtsmlm.calibrate.beads import BeadWidths, measure_beads
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli.calibrate_psf_report import astigmatism_table
from rtsmlm.errors import ConfigError
from rtsmlm.fitting.boxes import astigmatic_box_px
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves, Wobble
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.pipeline.wobble import WithoutWobble, without_wobble
from rtsmlm.settings.load import from_mapping
from rtsmlm.settings.psf import AstigmatismSettings

PIXEL_NM, STEP_NM = 100.0, 25.0
PLAIN = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=0.0)
Z_NM = np.arange(-650.0, 651.0, STEP_NM)
PLACES = [(30.3, 30.7), (70.0, 31.4), (98.6, 69.2), (33.8, 72.5), (66.4, 68.9)]
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0),
    z_min_nm=-600.0,
    z_max_nm=600.0,
)
HALO, HALO_WIDTH = 0.25, 2.6


def x_shift_nm(z_nm: np.ndarray) -> np.ndarray:
    return 0.05 * z_nm


def y_shift_nm(z_nm: np.ndarray) -> np.ndarray:
    return -30.0 * (z_nm / 600.0) ** 2


def bead_stack(rng: np.random.Generator, *, halo: float = 0.0) -> F32:
    """Beads that wander while z changes; some of their light is spread wider than a Gaussian."""
    mean = np.full((len(Z_NM), 100, 130), 5.0)
    edges_y, edges_x = np.arange(101) - 0.5, np.arange(131) - 0.5
    for k, z in enumerate(Z_NM):
        for x, y in PLACES:
            x_px = x + x_shift_nm(z) / PIXEL_NM
            y_px = y + y_shift_nm(z) / PIXEL_NM
            sx, sy = (float(c.sigma_nm(z)) / PIXEL_NM for c in (CURVES.x, CURVES.y))
            for share, wider in ((1.0 - halo, 1.0), (halo, HALO_WIDTH)):
                along_x = np.diff(norm.cdf(edges_x, x_px, wider * sx))
                along_y = np.diff(norm.cdf(edges_y, y_px, wider * sy))
                mean[k] += 30_000.0 * share * along_y[:, None] * along_x[None, :]
    return rng.poisson(mean).astype(np.float32)


def calibrated(stack: F32) -> tuple[BeadWidths, Astigmatism]:
    def planes() -> Iterator[F32]:
        yield stack

    return calibrate_in_run_boxes(
        lambda box_px: measure_beads(
            [planes], PIXEL_NM, defocus=True, box_px=box_px, background_share=RUN_BACKGROUND
        ),
        STEP_NM,
    )


def test_beads_are_measured_in_the_box_of_a_run_and_their_wobble_is_found(
    rng: np.random.Generator,
) -> None:
    widths, found = calibrated(bead_stack(rng))

    assert widths.box_px == astigmatic_box_px(found.curves, PIXEL_NM)
    wobble = found.curves.wobble
    assert wobble is not None
    z = np.linspace(-400.0, 400.0, 9)
    x, y, along_z = wobble.at(z)
    np.testing.assert_allclose(x, x_shift_nm(z), atol=3.0)
    np.testing.assert_allclose(y, y_shift_nm(z), atol=3.0)
    # The zero of z is where both widths are equal: errors of the curves alone are left.
    assert np.abs(along_z).max() < 10.0
    # Of Gaussian spots the stated errors hold.
    np.testing.assert_allclose(wobble.std_factors(z), 1.0, atol=0.1)


def test_light_beside_a_gaussian_moves_no_z(rng: np.random.Generator) -> None:
    # The same spots on another background are other Gaussians: of a halo the dark rim counts more.
    stack = bead_stack(rng, halo=HALO)
    _, found = calibrated(stack)
    assert found.curves.wobble is not None
    at = found.zero_nm + Z_NM[0]
    n = 400
    z = rng.uniform(-450.0, 450.0, n)
    x_px, y_px = 20.0 + rng.uniform(-0.5, 0.5, (2, n))
    pixels = np.empty((n, 41, 41), dtype=np.uint16)
    edges = np.arange(42) - 0.5
    for k in range(n):
        sx, sy = (float(c.sigma_nm(z[k])) / PIXEL_NM for c in (CURVES.x, CURVES.y))
        cx, cy = x_px[k] + x_shift_nm(z[k]) / PIXEL_NM, y_px[k] + y_shift_nm(z[k]) / PIXEL_NM
        mean = np.full((41, 41), 30.0)
        for share, wider in ((1.0 - HALO, 1.0), (HALO, HALO_WIDTH)):
            along_x = np.diff(norm.cdf(edges, cx, wider * sx))
            along_y = np.diff(norm.cdf(edges, cy, wider * sy))
            mean += 4000.0 * share * along_y[:, None] * along_x[None, :]
        pixels[k] = rng.poisson(mean)
    settings = from_mapping(
        {
            "localizer": {"name": "astigmatic-mle"},
            "psf": {"astigmatism": astigmatism_table(found.curves)},
        }
    )
    localizer = open_localizer(settings, PLAIN, 150.0)
    assert isinstance(localizer, WithoutWobble)

    locs = localizer(FrameBatch.from_pixels(pixels))

    one = np.flatnonzero(np.bincount(locs.frame, minlength=n)[locs.frame] == 1)
    assert len(one) > 0.95 * n
    true = z[locs.frame[one]]
    for low in (-450.0, -150.0, 150.0):
        inside = (true >= low) & (true < low + 300.0)
        error = locs.z_nm[one][inside] + at - true[inside]
        dx = locs.x_nm[one][inside] / PIXEL_NM - x_px[locs.frame[one]][inside]
        # x counts from where both widths are equal, where the spot lies at x_shift(at).
        dx_nm = PIXEL_NM * dx - x_shift_nm(np.array(at))
        assert abs(np.median(error)) < 10.0, low
        assert abs(np.median(dx_nm)) < 4.0, low


def test_what_was_not_measured_is_not_taken_off(rng: np.random.Generator) -> None:
    def planes() -> Iterator[F32]:
        yield bead_stack(rng)

    widths = replace(measure_beads([planes], PIXEL_NM, defocus=True), boxes=None)

    assert calibrate_astigmatic(widths, STEP_NM).curves.wobble is None
    settings = from_mapping(
        {
            "localizer": {"name": "astigmatic-mle"},
            "psf": {"astigmatism": AstigmatismSettings.of(CURVES).model_dump()},
        }
    )
    assert not isinstance(open_localizer(settings, PLAIN, 150.0), WithoutWobble)


WOBBLE = Wobble(
    z_nm=(-100.0, 100.0),
    x_nm=(-10.0, 10.0),
    y_nm=(4.0, 4.0),
    along_z_nm=(-20.0, 20.0),
    std_x=(1.0, 1.0),
    std_y=(2.0, 2.0),
    std_z=(1.5, 1.5),
)


def test_rows_with_z_lose_the_wobble_and_their_stated_error_follows() -> None:
    locs = Localizations.from_columns(
        {
            "frame": np.array([0, 0]),
            "x_nm": np.array([500.0, 500.0]),
            "y_nm": np.array([500.0, 500.0]),
            "z_nm": np.array([50.0, 0.0]),
            "std_x_nm": np.array([10.0, 10.0]),
            "std_y_nm": np.array([10.0, 10.0]),
            "std_z_nm": np.array([30.0, np.nan]),
        }
    )

    out = without_wobble(locs, WOBBLE)

    np.testing.assert_allclose(out.x_nm, [495.0, 500.0])
    np.testing.assert_allclose(out.y_nm, [496.0, 500.0])
    np.testing.assert_allclose(out.z_nm, [40.0, 0.0])
    # z as found grows by 1 where the true one grows by 0.8.
    np.testing.assert_allclose(out.std_z_nm, [36.0, np.nan], rtol=1e-5)
    np.testing.assert_allclose(out.std_x_nm, [10.0, 10.0])
    np.testing.assert_allclose(out.std_y_nm, [20.0, 10.0])


def test_settings_hold_the_wobble_and_refuse_one_of_another_length() -> None:
    curves = replace(CURVES, wobble=WOBBLE)
    table = AstigmatismSettings.of(curves).model_dump()

    assert AstigmatismSettings.model_validate(table).curves() == curves
    table["wobble"]["x_nm"] = (1.0,)
    with pytest.raises(ConfigError, match="as many"):
        from_mapping({"psf": {"astigmatism": table}})
