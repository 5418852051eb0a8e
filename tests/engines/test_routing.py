"""A fit first, the network for the rest: as good as the network everywhere, no emitter twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.analysis import metrics
from rtsmlm.bench.accuracy.scenes import Scene, crowded_scene
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.routing import RoutedLocalizer
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.engines.selection import extra_columns
from rtsmlm.errors import CalibrationError, LocalizerError
from rtsmlm.fitting.detection import detect_in_batch
from rtsmlm.fitting.spot_shape import shape_misfits
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import FROM_NETWORK, Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.flagship.slots import find_rows
from rtsmlm.settings.run import LocalizerSettings

SPOT = 1.3, 2000.0, 20.0


def opened(
    scene: Scene, name: str = "flagship-2d", *, fit_first: bool = True
) -> RoutedLocalizer | NetworkLocalizer:
    return localizer_of(
        find_model(name),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        curves=scene.curves,
        engine="openvino",
        fit_first=fit_first,
    )


def score(scene: Scene, found: Localizations) -> metrics.Metrics:
    field = metrics.Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    axial_nm = None if scene.curves is None else 500.0
    return metrics.evaluate(found, scene.truth, field, metrics.Protocol(axial_nm=axial_nm))


@pytest.mark.parametrize("density_um2", [0.02, 0.1, 0.2])
def test_it_is_as_good_as_the_network_everywhere(
    rng: np.random.Generator, density_um2: float
) -> None:
    scene = crowded_scene(rng, 24, density_um2, SPOT)

    routed = score(scene, opened(scene)(scene.batch))
    everywhere = score(scene, opened(scene, fit_first=False)(scene.batch))

    assert routed.jaccard > everywhere.jaccard - 0.006
    assert routed.rmse_lateral_nm < 1.05 * everywhere.rmse_lateral_nm


def test_with_depth_it_is_as_good_too() -> None:
    scene = speed_scene(MovieKind(size_px=128, density_um2=0.1, astigmatic=True))
    truth = scene.truth.take(scene.truth.frame < 48)
    scene = replace(scene, batch=scene.batch.frames(0, 48), truth=truth)
    name = "flagship-astig"

    routed = score(scene, opened(scene, name)(scene.batch))
    everywhere = score(scene, opened(scene, name, fit_first=False)(scene.batch))

    assert routed.jaccard > everywhere.jaccard - 0.01
    assert routed.rmse_axial_nm < 1.05 * everywhere.rmse_axial_nm


def test_the_table_says_who_spoke(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 16, 0.1, SPOT)

    found = opened(scene)(scene.batch)

    from_network = found.extras[FROM_NETWORK]
    assert set(np.unique(from_network)) == {0.0, 1.0}
    assert np.all(found.probability[from_network == 0] == 1)
    # Lone emitters are fitted: what a network has found is nearer to others.
    distances = []
    for frame in np.unique(found.frame):
        here = np.flatnonzero(found.frame == frame)
        away = np.hypot(
            found.x_nm[here, None] - found.x_nm[here], found.y_nm[here, None] - found.y_nm[here]
        )
        np.fill_diagonal(away, np.inf)
        distances.append(away.min(axis=1))
    nearest = np.concatenate(distances)
    assert nearest[from_network == 0].min() > 400.0
    assert np.median(nearest[from_network == 1]) < np.median(nearest[from_network == 0])


@pytest.mark.parametrize(("density_um2", "n_frames"), [(0.05, 96), (0.2, 48)])
def test_the_recall_that_it_states_makes_the_true_density_of_what_is_found(
    rng: np.random.Generator, density_um2: float, n_frames: int
) -> None:
    scene = crowded_scene(rng, n_frames, density_um2, (1.3, 1000.0, 20.0))
    localize = opened(scene)
    height, width = scene.batch.shape

    found = localize(scene.batch).probability.sum(dtype=np.float64) / n_frames
    stated = found * np.interp(found / (height * width) * 1.3**2, *localize.recall)

    x, y = scene.truth.x_nm / 100.0, scene.truth.y_nm / 100.0
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    assert stated == pytest.approx(inside.sum() / n_frames, rel=0.03)


def test_no_emitter_is_reported_twice(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 24, 0.15, SPOT)

    found = opened(scene)(scene.batch)

    assert np.all(np.diff(found.frame) >= 0)
    for frame in np.unique(found.frame):
        here = np.flatnonzero(found.frame == frame)
        away = np.hypot(
            found.x_nm[here, None] - found.x_nm[here], found.y_nm[here, None] - found.y_nm[here]
        )
        assert away[np.triu_indices(len(here), 1)].min() > 50.0
        assert np.all(np.diff(found.y_nm[here]) >= 0)


def test_frames_that_are_crowded_all_over_are_left_to_the_network(
    rng: np.random.Generator,
) -> None:
    scene = crowded_scene(rng, 8, 2.0, SPOT)

    routed = opened(scene)(scene.batch)
    everywhere = opened(scene, fit_first=False)(scene.batch)

    assert len(routed) == len(everywhere)
    order = np.lexsort((everywhere.y_nm, everywhere.frame))
    for name, column in everywhere.columns().items():
        np.testing.assert_array_equal(column[order], getattr(routed, name), name)
    assert np.all(routed.extras[FROM_NETWORK] == 1)


def test_the_denser_a_movie_the_more_of_it_the_network_sees(rng: np.random.Generator) -> None:
    shares = []
    for density_um2 in (0.02, 0.1, 2.0):
        scene = crowded_scene(rng, 8, density_um2, SPOT)
        localizer = opened(scene)
        assert isinstance(localizer, RoutedLocalizer)
        shares.append(localizer.shares(scene.batch))

    (_, sparse), (_, more), (whole, windows) = shares
    assert 0 < sparse < more < 0.5
    assert [frames for frames, _ in shares[:2]] == [0.0, 0.0]
    assert (whole, windows) == (1.0, 0.0)


def test_sparse_frames_one_by_one_give_the_rows_of_all_together(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 10, 0.05, SPOT)
    localize = opened(scene)
    together = localize(scene.batch)

    alone = Localizations.concatenate(
        [localize(scene.batch, slice(k, k + 1)) for k in range(len(scene.batch))]
    )

    assert len(alone) == len(together)
    np.testing.assert_allclose(alone.x_nm, together.x_nm, atol=1.0)
    np.testing.assert_array_equal(alone.frame, together.frame)


def test_a_large_frame_alone_has_the_rows_that_it_has_among_others() -> None:
    scene = speed_scene(MovieKind(size_px=512, density_um2=0.1))
    localize = opened(scene)
    batch = scene.batch.frames(0, 4)

    together, alone = localize(batch), localize(batch, slice(1, 2))

    among = together.take(together.frame == 1)
    assert len(alone) == len(among) > 200
    np.testing.assert_allclose(alone.x_nm, among.x_nm, atol=1.0)


def test_sparse_and_crowded_frames_side_by_side_are_each_localized(
    rng: np.random.Generator,
) -> None:
    sparse, dense = crowded_scene(rng, 20, 0.05, SPOT), crowded_scene(rng, 20, 1.5, SPOT)
    # From the tenth frame on it is crowded: in the middle of those that are taken for alike.
    pixels = np.concatenate([sparse.batch.pixels[:10], dense.batch.pixels[10:]])
    batch = FrameBatch.from_pixels(pixels, index=sparse.batch.index)

    found = opened(sparse)(batch)

    counts = np.bincount(found.frame // 2, minlength=20)
    assert counts[:10].mean() == pytest.approx(0.05 * 25.6**2, rel=0.2)
    assert counts[10:].min() > 600


def test_emitters_at_the_edge_of_the_frame_are_found_and_none_beyond_it(
    rng: np.random.Generator,
) -> None:
    # A third of the emitters whose light falls into the outermost pixels lie beyond the edge.
    scene = crowded_scene(rng, 60, 0.05, SPOT)
    found, expected = opened(scene)(scene.batch), opened(scene, fit_first=False)(scene.batch)
    field = metrics.Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    whole = metrics.Protocol(border_nm=0.0)

    routed = metrics.evaluate(found, scene.truth, field, whole)
    everywhere = metrics.evaluate(expected, scene.truth, field, whole)

    assert min(found.x_nm.min(), found.y_nm.min()) >= -50.0
    assert max(found.x_nm.max(), found.y_nm.max()) <= 25550.0
    assert routed.recall > everywhere.recall - 0.005
    assert routed.precision > 0.99


def test_a_frame_smaller_than_a_window_is_left_to_the_network(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 8, 0.1, SPOT)
    batch = FrameBatch.from_pixels(scene.batch.pixels[:, :24, :90], index=scene.batch.index)
    localize = opened(scene)
    localize.warm_up(batch.shape)

    found = localize(batch)

    expected = opened(scene, fit_first=False)(batch)
    np.testing.assert_array_equal(np.sort(found.x_nm), np.sort(expected.x_nm))


def test_frames_of_a_size_that_is_no_multiple_of_eight(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 16, 0.1, SPOT)
    batch = FrameBatch.from_pixels(scene.batch.pixels[:, :251, :219], index=scene.batch.index)

    found = opened(scene)(batch)
    expected = opened(scene, fit_first=False)(batch)

    assert len(found) == pytest.approx(len(expected), rel=0.03)
    assert found.x_nm.max() < 21950.0
    assert found.y_nm.max() < 25150.0


def test_what_cannot_be_localized_is_refused(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 2, 0.1, SPOT)
    wrong = replace(scene.calibration, offset_adu=np.full((8, 8), 100.0, np.float32))

    assert len(opened(scene)(scene.batch, slice(1, 1))) == 0
    with pytest.raises(LocalizerError, match="takes uint16"):
        opened(scene)(FrameBatch.from_pixels(scene.batch.pixels.astype(np.float32)))
    with pytest.raises(CalibrationError, match="same region of the chip"):
        opened(replace(scene, calibration=wrong))(scene.batch)


def test_warm_up_leaves_nothing_to_compile(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 16, 0.1, SPOT)
    localize = opened(scene)
    localize.warm_up(scene.batch.shape)
    compiled = [detect_in_batch, shape_misfits, find_rows]
    before = [len(function.signatures) for function in compiled]

    frozen = scene.batch.pixels.copy()
    frozen.flags.writeable = False
    for pixels in (scene.batch.pixels, frozen, scene.batch.pixels[:, ::-1]):
        localize(FrameBatch.from_pixels(pixels))

    assert [len(function.signatures) for function in compiled] == before


@pytest.mark.parametrize(
    ("changed", "has_column"),
    [
        ({}, True),
        ({"name": "flagship-2d-fast"}, True),
        ({"name": "decode"}, False),
        ({"fit_first": False}, False),
        ({"refine": False}, False),
        ({"name": "gaussian-mle"}, False),
    ],
)
def test_a_run_states_the_column_where_it_has_one(
    changed: dict[str, object], has_column: bool
) -> None:
    wanted = LocalizerSettings(engine="openvino").model_copy(update=changed)

    assert (FROM_NETWORK in str(extra_columns(wanted, "flagship-2d"))) == has_column
