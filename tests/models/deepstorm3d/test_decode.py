"""Volumes to rows, without torch: as a microscope has them."""

import numpy as np
import pytest

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.deepstorm3d.decode import VolumeDecoder, find_peaks
from rtsmlm.models.rows import DecodeSettings, Row
from rtsmlm.physics.psf import TablePsf, table_from_planes

PLANES, SIDE_PX, FINE = 12, 24, 2


def narrow_psf() -> TablePsf:
    """Return a PSF that gets wider with depth."""
    at = (np.arange(44) - 21.5) / 4
    widths = np.linspace(0.8, 1.6, 9)
    planes = np.stack([np.exp(-(at[:, None] ** 2 + at**2) / (2 * w**2)) for w in widths])
    return table_from_planes(planes, fine_per_px=4, z_first_nm=-400, z_step_nm=100)


def decoder() -> VolumeDecoder:
    return VolumeDecoder(
        shape=(SIDE_PX, SIDE_PX),
        upsampling=FINE,
        z_nm=(-400.0, 400.0),
        psf=narrow_psf(),
        settings=DecodeSettings(min_probability=0.4),
    )


def volume_with(places: list[tuple[float, float, float]]) -> F32:
    """Return a volume in which each emitter (x, y in pixels, z in half ranges) is one."""
    volume = np.zeros((PLANES + 1, FINE * SIDE_PX, FINE * SIDE_PX), dtype=np.float32)
    for x_px, y_px, z in places:
        place = (
            (z + 1) / 2 * (PLANES - 1),
            (y_px + 0.5) * FINE - 0.5,
            (x_px + 0.5) * FINE - 0.5,
        )
        low = np.floor(place).astype(int)
        for corner in np.ndindex(2, 2, 2):
            share = np.prod(np.where(corner, np.array(place) - low, 1 - (np.array(place) - low)))
            volume[tuple(low + corner)] += share
    return volume


def with_light(
    volume: F32, places: list[tuple[float, float, float]], photons: float, rng: np.random.Generator
) -> F32:
    x, y, z = (np.array(column) for column in zip(*places, strict=True))
    frame = np.full((SIDE_PX, SIDE_PX), 20.0, dtype=np.float32)
    narrow_psf().render(frame, x, y, 400.0 * z, np.full(len(x), photons))
    noisy = rng.poisson(frame).astype(np.float32)
    volume[-1] = noisy.repeat(FINE, axis=0).repeat(FINE, axis=1)
    return volume


def test_emitters_are_found_where_they_are(rng: np.random.Generator) -> None:
    places = [(4.13, 6.71, -0.8), (15.5, 5.0, 0.0), (10.2, 18.9, 0.93)]

    rows = decoder()(with_light(volume_with(places), places, 3000.0, rng)[None])[0]

    found = rows[np.argsort(rows[:, Row.Z])]
    np.testing.assert_allclose(found[:, [Row.X, Row.Y, Row.Z]], places, atol=1e-3)
    np.testing.assert_allclose(found[:, Row.PROBABILITY], 1.0, atol=1e-5)


def test_photons_are_those_of_the_frame_though_spots_overlap(rng: np.random.Generator) -> None:
    places = [(10.0, 12.0, -0.5), (12.5, 12.0, 0.5)]

    rows = decoder()(with_light(volume_with(places), places, 3000.0, rng)[None])[0]

    errors = (rows[:, Row.PHOTONS] - 3000.0) / rows[:, Row.STD_PHOTONS]
    assert np.all(np.abs(errors) < 4.0)
    np.testing.assert_allclose(rows[:, Row.BACKGROUND], 20.0, rtol=0.1)
    np.testing.assert_array_equal(rows[:, Row.CROWD], 1.0)


def test_two_emitters_at_one_place_and_two_depths_are_two(rng: np.random.Generator) -> None:
    places = [(10.0, 12.0, -0.6), (10.0, 12.0, 0.6)]

    rows = decoder()(with_light(volume_with(places), places, 3000.0, rng)[None])[0]

    np.testing.assert_allclose(np.sort(rows[:, Row.Z]), [-0.6, 0.6], atol=1e-3)


def test_an_emitter_between_two_equal_voxels_is_one(rng: np.random.Generator) -> None:
    places = [(10.0, 12.0, 0.0)]

    rows = decoder()(with_light(volume_with(places), places, 3000.0, rng)[None])[0]

    assert len(rows) == 1


def test_what_is_improbable_is_no_row() -> None:
    volume = 0.3 * volume_with([(10.0, 12.0, 0.0)])

    assert len(decoder()(volume[None])[0]) == 0


def test_a_full_table_of_peaks_is_an_end_and_no_fault(rng: np.random.Generator) -> None:
    table = np.empty((5, 4))

    assert find_peaks(rng.random((6, 20, 20), dtype=np.float32), table) <= 5


def test_volumes_that_do_not_cover_the_frame_are_one_sentence() -> None:
    with pytest.raises(LocalizerError, match="frames of 24 x 24 pixels need"):
        decoder()(np.zeros((1, PLANES + 1, 24, 24), dtype=np.float32))
