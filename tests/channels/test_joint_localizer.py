"""Emitters in two views at once: found, placed as well as possible, and told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from rtsmlm.calibration import CameraCalibration
from rtsmlm.channels.joint_localizer import JointLocalizer
from rtsmlm.channels.separate_localizer import SeparateLocalizer
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.localizer import extra_columns_stated, open_localizer
from rtsmlm.settings.channels import UNDECIDED
from rtsmlm.settings.run import LocalizerSettings, RunSettings

MOST_CROSSTALK = 0.02
"""At 2000 photons, of rows that are decided."""


def run_settings(two_colours: Any, **changes: Any) -> RunSettings:
    return RunSettings(channels=two_colours.channels.model_copy(update=changes))


def matched(rows: Localizations, scene: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the row and of the emitter of each match within a pixel."""
    found, true = [], []
    for frame in range(len(scene.batch)):
        mine = np.flatnonzero(rows.frame == frame)
        places = np.stack([rows.x_nm[mine], rows.y_nm[mine]], axis=1) / 100.0
        distance, nearest = cKDTree(scene.places_px[frame]).query(places)
        found.append(mine[distance < 1.0])
        true.append(nearest[distance < 1.0] + frame * scene.places_px.shape[1])
    return np.concatenate(found), np.concatenate(true)


@pytest.fixture(scope="module")
def bright(two_colours: Any) -> tuple[Any, Localizations]:
    scene = two_colours.draw(np.random.default_rng(1), 20, 2000.0)
    localizer = open_localizer(
        run_settings(two_colours), two_colours.calibration, two_colours.sigma_nm
    )
    localizer.warm_up(two_colours.shape)
    return scene, localizer(scene.batch)


def test_each_emitter_is_found_once_though_both_views_show_it(
    bright: tuple[Any, Localizations],
) -> None:
    scene, rows = bright

    found, true = matched(rows, scene)

    assert len(found) == len(rows) == len(np.unique(true))
    assert len(true) > 0.99 * scene.dye.size


def test_the_error_of_a_place_is_the_stated_bound_of_both_views(
    bright: tuple[Any, Localizations],
) -> None:
    scene, rows = bright
    found, true = matched(rows, scene)
    places = scene.places_px.reshape(-1, 2)[true]

    error = np.stack([rows.x_nm, rows.y_nm], axis=1)[found] - 100.0 * places
    bound = np.sqrt(np.mean(np.stack([rows.std_x_nm, rows.std_y_nm])[:, found] ** 2, axis=1))

    n = len(found)
    assert np.std(error, axis=0) == pytest.approx(bound, rel=0.1)
    assert np.abs(error.mean(axis=0)).max() < 4.0 * bound.max() / np.sqrt(n)
    # All light counts: one view alone has a little more than half of it.
    assert bound.max() < 1.25 * 130.0 / np.sqrt(2000.0) * 1.25


def test_photons_of_both_views_are_those_of_the_emitter(bright: tuple[Any, Localizations]) -> None:
    _, rows = bright

    assert rows.photons.mean() == pytest.approx(2000.0, rel=0.02)
    assert rows.background.mean() == pytest.approx(5.0, rel=0.1)
    both = rows.extras["photons_short"] + rows.extras["photons_long"]
    assert both == pytest.approx(rows.photons, rel=1e-4)


def test_two_far_red_dyes_are_told_apart_at_2000_photons_with_less_than_2_percent_crosstalk(
    bright: tuple[Any, Localizations],
) -> None:
    scene, rows = bright
    found, true = matched(rows, scene)

    decided = rows.channel[found] != UNDECIDED
    wrong = rows.channel[found][decided] != scene.dye.ravel()[true][decided]

    assert wrong.mean() < MOST_CROSSTALK
    assert decided.mean() > 0.95


def test_the_stated_probability_of_a_dye_is_how_often_it_is_that_dye(two_colours: Any) -> None:
    scene = two_colours.draw(np.random.default_rng(2), 40, 150.0, background=4.0)
    localizer = open_localizer(
        run_settings(two_colours, min_probability=0.5, spread=0.0),
        two_colours.calibration,
        two_colours.sigma_nm,
    )
    rows = localizer(scene.batch)
    found, true = matched(rows, scene)

    right = rows.channel[found] == scene.dye.ravel()[true]
    stated = rows.extras["channel_probability"][found]

    doubtful = stated < 0.97
    assert doubtful.sum() > 30
    assert right[doubtful].mean() == pytest.approx(stated[doubtful].mean(), abs=0.12)
    assert right[~doubtful].mean() > 0.97


def test_an_emitter_whose_light_is_that_of_no_known_dye_is_in_no_channel(two_colours: Any) -> None:
    scene = two_colours.draw(np.random.default_rng(3), 4, 5000.0)
    settings = run_settings(two_colours, names=("AF647",), fractions=two_colours.fractions[:1])
    localizer = open_localizer(settings, two_colours.calibration, two_colours.sigma_nm)

    rows = localizer(scene.batch)
    found, true = matched(rows, scene)

    is_other = scene.dye.ravel()[true] == 1
    assert (rows.channel[found][is_other] == UNDECIDED).all()
    assert (rows.channel[found][~is_other] == 0).mean() > 0.95


def test_views_that_each_show_one_dye_are_localized_by_themselves(two_colours: Any) -> None:
    scene = two_colours.draw(np.random.default_rng(4), 3, 4000.0)
    settings = run_settings(two_colours, fractions=(), names=())
    settings = settings.model_copy(update={"localizer": LocalizerSettings(name="gaussian-mle")})

    localizer = open_localizer(settings, two_colours.calibration, two_colours.sigma_nm)
    rows = localizer(scene.batch)

    assert isinstance(localizer, SeparateLocalizer)
    assert set(np.unique(rows.channel)) == {0, 1}
    assert np.all(np.diff(rows.frame) >= 0)
    places = np.stack([rows.x_nm, rows.y_nm], axis=1) / 100.0
    for frame in range(3):
        mine = (rows.frame == frame) & (rows.channel == 1)
        distance, _ = cKDTree(scene.places_px[frame]).query(places[mine])
        assert np.median(distance) < 0.1


def test_a_table_of_two_views_states_its_channels_columns_and_the_field_of_the_first(
    two_colours: Any,
) -> None:
    stated = extra_columns_stated(run_settings(two_colours))

    assert stated["channels"] == ["AF647", "CF680"]
    assert stated["shape"] == [96, 96]
    assert stated["extra_columns"] == {
        "channel_probability": "1",
        "photons_short": "photon",
        "photons_long": "photon",
    }


def test_a_network_of_one_view_is_refused_where_shares_tell_the_dye(two_colours: Any) -> None:
    settings = run_settings(two_colours).model_copy(
        update={"localizer": LocalizerSettings(name="flagship-2d")}
    )

    with pytest.raises(ConfigError, match="set it to gaussian-mle"):
        open_localizer(settings, two_colours.calibration, two_colours.sigma_nm)


def test_frames_that_do_not_hold_the_views_are_refused(two_colours: Any) -> None:
    localizer = JointLocalizer(
        calibration=CameraCalibration(pixel_nm=100.0),
        sigma_nm=130.0,
        settings=LocalizerSettings(),
        views=two_colours.views,
        channels=two_colours.channels,
    )

    with pytest.raises(CalibrationError, match="does not lie on frames of 128 x 96"):
        localizer(FrameBatch.from_pixels(np.full((1, 96, 128), 100, dtype=np.uint16)))
