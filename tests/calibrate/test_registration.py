from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from rtsmlm.calibrate.registration import leave_one_out, register_views
from rtsmlm.calibrate.view_beads import fit_transform, pair_beads
from rtsmlm.cli.calibrate import app
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.transforms import PlaneTransform
from rtsmlm.physics.views import View, Views
from rtsmlm.settings.load import load

PIXEL_NM = 100.0
SHAPE = (192, 256)
VIEWS = Views((View("short", (0, 0, 128, 192)), View("long", (128, 0, 128, 192))))
TO_FIRST = PlaneTransform(
    (2.3, 1.006, -0.012, 1.5e-5, -1e-5, 2e-5), (-3.6, 0.013, 1.004, -1e-5, 2e-5, 1e-5)
)
"""Shifted by 4 px, turned by 0.7 degrees, magnified by half a percent, and distorted."""
SIGMA_PX = 1.3


def mirrored(transform: PlaneTransform, width: int) -> PlaneTransform:
    """Return an affine transform behind a mirror along x of a view of this width."""
    x, y = transform.x[:3], transform.y[:3]
    far = width - 1.0
    return PlaneTransform((x[0] + far * x[1], -x[1], x[2]), (y[0] + far * y[1], -y[1], y[2]))


def bead_places(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return places in the first view, some pixels apart."""
    places: list[np.ndarray] = []
    for place in rng.uniform(8.0, (120.0, 184.0), (40 * n, 2)):
        if all(np.hypot(*(place - other)) > 13.0 for other in places):
            places.append(place)
    return np.array(places[:n])


def bead_image(
    rng: np.random.Generator,
    places: np.ndarray,
    to_first: PlaneTransform = TO_FIRST,
    *,
    photons: tuple[float, float] = (20_000.0, 20_000.0),
    here: np.ndarray | None = None,
    noise: bool = True,
) -> np.ndarray:
    """Return an image in photons; `here` are places in the second view that shows other beads."""
    image = np.full(SHAPE, 10.0, dtype=np.float32)
    parts = (places, to_first.inverse(places) if here is None else here)
    for view, at, light in zip(VIEWS, parts, photons, strict=True):
        part = np.zeros(view.shape, dtype=np.float32)
        n = len(at)
        GaussianPsf(SIGMA_PX).render(
            part, np.ascontiguousarray(at[:, 0]), np.ascontiguousarray(at[:, 1]), np.zeros(n),
            np.full(n, light),
        )  # fmt: skip
        x, y, width, height = view.region
        image[y : y + height, x : x + width] += part
    return rng.poisson(image).astype(np.float32) if noise else image


def test_views_are_registered_to_less_than_5_nm_without_a_starting_guess(
    rng: np.random.Generator,
) -> None:
    images = [bead_image(rng, bead_places(rng, 60)) for _ in range(2)]

    (found,) = register_views(images, VIEWS)

    assert found.view.to_first.degree == 2
    assert found.residual_nm(PIXEL_NM) < 5.0
    # The truth, at places that no bead was at.
    places = rng.uniform(8.0, (120.0, 184.0), (500, 2))
    off = found.view.to_first(TO_FIRST.inverse(places)) - places
    assert PIXEL_NM * np.sqrt(np.mean(np.sum(off**2, axis=1))) < 1.5


def test_the_stated_residual_is_that_of_beads_that_the_fit_has_not_seen(
    rng: np.random.Generator,
) -> None:
    source = rng.uniform(0.0, 100.0, (30, 2))
    target = TO_FIRST(source) + rng.normal(0.0, 0.05, (30, 2))

    by_leverage = leave_one_out(source, target, 2)

    for k in (0, 7, 29):
        others = np.arange(30) != k
        fitted = fit_transform(source[others], target[others], 2)
        assert by_leverage[k] == pytest.approx((target - fitted(source))[k], abs=1e-9)
    fit = fit_transform(source, target, 2)
    assert np.std(by_leverage) > 1.05 * np.std(target - fit(source))


def test_beads_that_only_one_view_shows_do_not_disturb_the_others(rng: np.random.Generator) -> None:
    places = bead_places(rng, 60)
    here = np.concatenate([TO_FIRST.inverse(places[:45]), rng.uniform(10, 110, (8, 2))])

    (found,) = register_views([bead_image(rng, places, here=here)], VIEWS)

    assert found.residual_nm(PIXEL_NM) < 5.0


def test_a_view_that_is_mirrored_is_registered_as_stated(rng: np.random.Generator) -> None:
    transform = mirrored(TO_FIRST, 128)
    image = bead_image(rng, bead_places(rng, 60), transform)

    (found,) = register_views([image], VIEWS, mirrors=["x"])

    assert found.view.to_first.is_mirror
    assert found.residual_nm(PIXEL_NM) < 5.0


def test_a_view_that_is_mirrored_and_not_stated_so_is_refused_with_what_to_give(
    rng: np.random.Generator,
) -> None:
    image = bead_image(rng, bead_places(rng, 60), mirrored(TO_FIRST, 128))

    with pytest.raises(CalibrationError, match=r"mirrored along x: .* give --mirrored x"):
        register_views([image], VIEWS)


def test_beads_of_one_colour_are_refused(rng: np.random.Generator) -> None:
    image = bead_image(rng, bead_places(rng, 50), photons=(20_000.0, 0.0))

    with pytest.raises(
        CalibrationError, match=r"in one view only: short shows .*, long .* shows 0"
    ):
        register_views([image], VIEWS)


def test_few_beads_are_refused_with_their_number(rng: np.random.Generator) -> None:
    with pytest.raises(CalibrationError, match=r"shows 5 isolated beads; .* 6 at least"):
        register_views([bead_image(rng, bead_places(rng, 5))], VIEWS)


def test_an_empty_image_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(CalibrationError, match="no isolated bead"):
        register_views([bead_image(rng, np.empty((0, 2)))], VIEWS)


def test_views_of_different_samples_are_refused(rng: np.random.Generator) -> None:
    image = bead_image(rng, bead_places(rng, 60), here=bead_places(rng, 60))

    with pytest.raises(CalibrationError, match="do not show the same sample"):
        register_views([image], VIEWS)


@pytest.mark.parametrize("degrees", [-4.0, 3.0])
def test_a_rotation_of_some_degrees_needs_no_guess(
    rng: np.random.Generator, degrees: float
) -> None:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    first = bead_places(rng, 50)
    other = first @ turn + (9.0, -4.0)

    found = pair_beads([first], [other])

    assert found.mirror == "none"
    assert (found.pairs[:, 0] == found.pairs[:, 1]).all()
    assert len(found.pairs) == 50


def run_command(folder: Path, images: list[np.ndarray], *options: str) -> str:
    paths = []
    for k, image in enumerate(images):
        paths.append(str(folder / f"beads{k}.tif"))
        tifffile.imwrite(paths[-1], (image + 100).astype(np.uint16)[None])
    arguments = [*paths, "--names", "short,long", "--out", str(folder / "out"), *options]
    result = CliRunner().invoke(app, ["channels", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_command_writes_views_that_the_settings_read_and_pictures_to_look_at(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    images = [bead_image(rng, bead_places(rng, 45)) for _ in range(2)]

    output = run_command(tmp_path, images)

    assert "nm rms" in output
    layout = load(tmp_path / "out" / "channels.toml").channels.layout()
    assert layout is not None
    places = np.array([[20.0, 30.0], [100.0, 170.0]])
    assert layout[1].to_first(TO_FIRST.inverse(places)) == pytest.approx(places, abs=0.05)
    assert layout[1].sigma_ratio == pytest.approx(1.0, abs=0.02)
    assert ElementTree.parse(tmp_path / "out" / "long.svg").getroot().tag.endswith("svg")  # noqa: S314
    assert (tmp_path / "out" / "long.png").read_bytes().startswith(b"\x89PNG")


def test_views_that_changed_places_since_an_earlier_calibration_are_refused(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    earlier = tmp_path / "earlier.toml"
    earlier.write_text(
        '[[channels.views]]\nname = "long"\nregion = [0, 0, 128, 192]\n'
        '[[channels.views]]\nname = "short"\nregion = [128, 0, 128, 192]\n'
    )

    with pytest.raises(ConfigError, match="views are swapped"):
        run_command(tmp_path, [bead_image(rng, bead_places(rng, 20))], "--against", str(earlier))
