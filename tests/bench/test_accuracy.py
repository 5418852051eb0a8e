"""The yardstick itself: a fit at the bound measures 1, and known faults show up as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from rtsmlm.bench.accuracy import figures as figures
from rtsmlm.bench.accuracy.checks import (
    ALONE,
    CROWDED,
    CROWDS,
    DENSITIES,
    EMPTY_FRAMES,
    ISOLATED,
    THIRD,
    TYPICAL,
    simulated_checks,
)
from rtsmlm.bench.accuracy.measure import (
    Check,
    Goal,
    Limit,
    Outcome,
    Psf,
    Row,
    as_json,
    manifest_rows,
    measure,
)
from rtsmlm.bench.accuracy.scenes import (
    Scene,
    astigmatic_scene,
    crowded_scene,
    empty_scene,
    isolated_scene,
)
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.localizer import GaussianMleLocalizer
from rtsmlm.localizations import Localizations
from rtsmlm.physics.camera import SensorType
from rtsmlm.settings.run import LocalizerSettings


def fit(scene: Scene) -> Localizations:
    localizer = GaussianMleLocalizer(
        calibration=scene.calibration, sigma_nm=scene.sigma_nm, settings=LocalizerSettings()
    )
    return localizer(scene.batch)


def shifted(scene: Scene) -> Localizations:
    """The fit with a constant error in x, and half of the stated precision."""
    found = fit(scene)
    return replace(
        found,
        x_nm=found.x_nm + np.float32(10.0),
        std_x_nm=found.std_x_nm * np.float32(0.5),
        std_y_nm=found.std_y_nm * np.float32(0.5),
    )


def failing(scene: Scene) -> Localizations:
    raise LocalizerError("no model for this camera\nand a second one")


def knowing(scene: Scene) -> Localizations:
    """The truth, with a thousandth of it missing."""
    return scene.truth.take(slice(0, len(scene.truth) - len(scene.truth) // 1000))


@dataclass(frozen=True)
class One:
    """A contender with one or more answers."""

    name: str
    answers: tuple[Callable[[Scene], Localizations], ...]
    psf: Psf = "round"
    is_peer: bool = False

    def __call__(self, scene: Scene) -> Iterator[tuple[str, Localizations]]:
        for answer in self.answers:
            yield answer.__name__, answer(scene)


def lone(rng: np.random.Generator, camera: SensorType = "ideal", n_frames: int = 4) -> Scene:
    return isolated_scene(rng, n_frames, TYPICAL, camera)


@pytest.mark.parametrize("camera", ["ideal", "sCMOS", "EMCCD"])
def test_a_maximum_likelihood_fit_measures_one(
    rng: np.random.Generator, camera: SensorType
) -> None:
    scene = lone(rng, camera, n_frames=8)

    result = figures.isolated(scene, fit(scene))

    # 784 coordinates: one standard deviation is 2.5 %.
    assert result[figures.LATERAL] == pytest.approx(1.0, abs=0.08)
    assert result[figures.JACCARD] > 0.98


def test_a_fit_is_honest_alone_and_lost_in_a_crowd(rng: np.random.Generator) -> None:
    alone = lone(rng, n_frames=8)
    crowds = [crowded_scene(rng, 2, density, CROWDED) for density in (0.5, 1.0, 2.0, 4.0)]

    jaccard = [figures.crowd(scene, fit(scene))[figures.JACCARD] for scene in crowds]
    honest = figures.honesty(alone, fit(alone))
    dishonest = figures.crowd(crowds[1], fit(crowds[1]))

    assert honest[figures.STD_Z] == pytest.approx(1.0, abs=0.08)
    assert honest[figures.MAD_Z] == pytest.approx(1.0, abs=0.12)
    assert dishonest[figures.STD_Z] > 4 * dishonest[figures.MAD_Z] > 4
    assert jaccard == sorted(jaccard, reverse=True)
    assert jaccard[-1] < 0.5 < jaccard[0]


def test_a_shift_and_a_wrong_precision_are_found_out(rng: np.random.Generator) -> None:
    scene = lone(rng, n_frames=8)

    result = figures.honesty(scene, shifted(scene))

    assert result[figures.PHASE_BIAS] == pytest.approx(10, abs=2)
    assert scene.bound is not None
    # Twice the noise stated, and x away from y by 10 nm in units of half of the bound.
    expected = np.hypot(2.0, 0.5 * 10.0 / (0.5 * scene.bound.lateral_nm))
    assert result[figures.STD_Z] == pytest.approx(expected, rel=0.08)


def test_emitters_that_stand_alone_are_far_apart_and_the_frames_hold_their_light(
    rng: np.random.Generator,
) -> None:
    scene = lone(rng)

    first = scene.truth.take(scene.truth.frame == 0)
    apart = np.hypot(*(c[:, None] - c for c in (first.x_nm, first.y_nm)))
    assert apart[~np.eye(len(first), dtype=bool)].min() > 2500
    light = scene.calibration.to_photons(scene.batch.pixels).sum(axis=(1, 2))
    assert light.mean() == pytest.approx(49 * 2000 + 20 * 256**2, rel=0.002)
    assert np.all(np.diff(scene.batch.index) == 2)


def test_crowds_have_the_density_asked_for(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 4, 2.0, CROWDED)

    truth = scene.truth
    inside = (np.abs(truth.x_nm - 12750) < 10000) & (np.abs(truth.y_nm - 12750) < 10000)
    assert inside.sum() / 4 / 400 == pytest.approx(2.0, rel=0.06)
    assert truth.x_nm.min() < -50 < 25550 < truth.x_nm.max()


def test_a_bound_in_depth_is_that_of_both_widths(rng: np.random.Generator) -> None:
    near = astigmatic_scene(rng, 1, 2000, 20, 500).bound
    bright = astigmatic_scene(rng, 1, 8000, 80, 500).bound

    assert near is not None
    assert bright is not None
    # Four times as many photons of everything: half the error.
    assert near.axial_nm == pytest.approx(2 * bright.axial_nm, rel=0.1)
    assert near.lateral_nm == pytest.approx(2 * bright.lateral_nm, rel=0.1)
    assert near.axial_nm > 2 * near.lateral_nm


def test_empty_frames_count_whatever_is_found(rng: np.random.Generator) -> None:
    scene = empty_scene(rng, 2, 20.0, "ideal")
    places = np.array([100.0, 200.0, 300.0])
    three = Localizations.from_columns({"frame": np.zeros(3), "x_nm": places, "y_nm": places})

    result = figures.empty(scene, three)

    assert len(scene.truth) == 0
    assert result[figures.FALSE] == 3 / 32
    # A Poisson variable of mean 7.754 is 3 or less once in twenty times.
    assert result[figures.FALSE_AT_MOST] == pytest.approx(7.754 / 32, rel=1e-3)


def test_three_thousand_clean_fields_prove_less_than_one_in_a_thousand() -> None:
    assert figures.poisson_limit(0) / 3000 < 1e-3 < figures.poisson_limit(0) / 2990


def test_every_condition_is_measured_with_its_bar() -> None:
    checks = simulated_checks(12, seed=0)

    by_section = {s: [c for c in checks if c.section == s] for s in {c.section for c in checks}}
    assert len(by_section[ALONE]) == len(ISOLATED) + 2
    assert len(by_section[CROWDS]) == len(DENSITIES) + 2
    bars = [str(check.goals[0].bar) for check in by_section[CROWDS][:4]]
    assert bars == [">= 0.93", ">= 0.9", ">= 0.84", ">= 0.7"]
    assert all(not check.peers for check in by_section[EMPTY_FRAMES])
    assert all(check.psfs == ("astigmatic",) for check in by_section[THIRD])
    assert by_section[EMPTY_FRAMES][0].scene.args[1] * 16 > 3000  # type: ignore[attr-defined]


def check_of(score_goal: Goal, **options: object) -> Check:
    return Check(
        section="S",
        condition="lone",
        scene=partial(lone, np.random.default_rng(3), n_frames=1),
        score=figures.isolated,
        goals=(score_goal,),
        **options,  # type: ignore[arg-type]
    )


def test_all_contenders_see_the_same_movie_and_a_failure_is_a_sentence() -> None:
    seen: list[int] = []

    def watching(scene: Scene) -> Localizations:
        seen.append(hash(scene.batch.pixels.tobytes()))
        return scene.truth

    outcome = measure(
        [check_of(Goal(figure=figures.JACCARD, bar=Limit(low=0.9)))],
        [One("a", (watching,)), One("b", (watching,)), One("c", (failing,))],
    )

    assert seen[0] == seen[1]
    assert outcome.rows[0].values == {"a": 1.0, "b": 1.0}
    assert outcome.all_notes() == ["c is left out of S: no model for this camera and a second one"]


def test_of_several_settings_of_a_peer_the_best_counts_and_is_named() -> None:
    def nothing(scene: Scene) -> Localizations:
        return Localizations.empty()

    peer = One("peer", (nothing, knowing, nothing), is_peer=True)

    row = measure([check_of(Goal(figure=figures.JACCARD))], [peer]).rows[0]

    assert row.values["peer"] > 0.99
    assert row.settings["peer"] == "knowing"


def test_peers_and_localizers_for_another_psf_stay_out() -> None:
    contenders = [One("peer", (knowing,), is_peer=True), One("deep", (knowing,), "astigmatic")]

    outcome = measure([check_of(Goal(figure=figures.JACCARD), peers=False)], contenders)

    assert outcome.rows == []


def test_a_rival_sets_the_bar_and_a_tie_does_not_pass_it() -> None:
    goal = Goal(figure="f", above=("fit", "other"))
    row = Row(section="s", condition="c", goal=goal, values={"fit": 0.3, "net": 0.3})

    assert row.met("net") is False
    assert row.met("fit") is None
    row.values["net"] = 0.31
    assert row.met("net") is True


def test_no_value_meets_no_bar() -> None:
    assert not Limit(low=0.0).met(float("nan"))
    assert str(Limit(0.9, 1.1)) == "0.9 to 1.1"


def test_rows_become_the_table_of_a_manifest_and_valid_json() -> None:
    goal = Goal(figure="f", bar=Limit(high=1.15))
    rows = [
        Row(section="s", condition="c", goal=goal, values={"net": 1.03456, "fit": 1.0}),
        Row(section="s", condition="d", goal=goal, values={"net": float("nan")}),
    ]

    entries = manifest_rows(rows, "net")

    expected = {"test": "s", "condition": "c", "figure": "f", "value": 1.035, "bar": "<= 1.15"}
    assert entries == (expected,)
    assert as_json(rows)[0]["bar"] == [None, 1.15]
    assert as_json(rows)[1]["values"] == {"net": None}


def test_tables_show_the_least_of_what_only_has_to_hold_everywhere() -> None:
    goal = Goal(figure="found", least=True)
    rows = [
        Row(section="s", condition=name, goal=goal, values={"net": value})
        for name, value in (("c", 1.0), ("d", 0.8))
    ]

    shown = Outcome(rows=rows).shown()

    assert [(row.goal.figure, row.values) for row in shown] == [("lowest found", {"net": 0.8})]
