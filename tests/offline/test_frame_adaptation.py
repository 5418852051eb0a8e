"""Frames that a network learns from, and when it stops learning."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import tifffile

torch = pytest.importorskip("torch", reason="learning needs torch")
pytest.importorskip("onnx", reason="the export needs onnx")

from rtsmlm.analysis.validity_excess import excess  # noqa: E402
from rtsmlm.analysis.validity_verdict import Verdict  # noqa: E402
from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.flagship import self_supervision  # noqa: E402
from rtsmlm.models.manifest import load_manifest  # noqa: E402
from rtsmlm.offline import frame_adaptation  # noqa: E402
from rtsmlm.offline.frame_adaptation import FrameAdaptation, Round  # noqa: E402
from rtsmlm.offline.frame_sample import FrameSample, sample_movie  # noqa: E402
from rtsmlm.physics.psf import GaussianPsf  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

CAMERA = [
    "camera.offset_adu=100", "camera.e_per_adu=1", "camera.read_noise_e=1", "camera.pixel_nm=100",
]  # fmt: skip


def movie_of(
    path: Path, n: int, shape: tuple[int, int], spots: int, *, x_from: float = 6.0
) -> Path:
    """Write a movie of spots that are 150 nm wide, right of a column."""
    rng = np.random.default_rng(5)
    frames = np.empty((n, *shape), np.uint16)
    for frame in frames:
        mean = np.full(shape, 15.0, np.float32)
        x = rng.uniform(x_from, shape[1] - 7.0, spots)
        y = rng.uniform(6.0, shape[0] - 7.0, spots)
        GaussianPsf(1.5).render(mean, x, y, np.zeros(spots), np.full(spots, 2500.0))
        frame[:] = 100 + rng.poisson(mean) + rng.normal(0.0, 1.0, shape).round()
    tifffile.imwrite(path, frames)
    return path


def settings(sigma_nm: float) -> list[str]:
    return [*CAMERA, f"psf.sigma_nm={sigma_nm}"]


def test_the_sample_lies_where_there_is_light_and_its_stretches_do_not_overlap(
    tmp_path: Path,
) -> None:
    path = movie_of(tmp_path / "m.tif", 60, (40, 500), 12, x_from=320.0)

    sample = sample_movie(path, load(None, settings(130.0)))

    assert sample.shape == (40, 192)
    lit = [float(batch.pixels.std()) for batch in sample.batches]
    assert min(lit) > 10.0
    index = np.concatenate([batch.index for batch in sample.batches])
    assert len(set(index.tolist())) == len(index)
    assert all(len(batch) == 24 for batch in sample.batches)


def test_a_short_movie_is_refused(tmp_path: Path) -> None:
    path = movie_of(tmp_path / "m.tif", 5, (40, 40), 2)

    with pytest.raises(ConfigError, match="has 5 frames; a network learns from 24 or more"):
        sample_movie(path, load(None, settings(130.0)))


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    sample = sample_movie(
        movie_of(tmp_path / "m.tif", 24, (40, 40), 3), load(None, settings(130.0))
    )

    with pytest.raises(ConfigError, match="deeploco cannot learn from frames without truth"):
        FrameAdaptation(find_model("deeploco"), sample)


@pytest.fixture
def sample(tmp_path: Path) -> FrameSample:
    path = movie_of(tmp_path / "m.tif", 96, (64, 64), 6)
    return sample_movie(path, load(None, settings(125.0)))


def test_the_width_of_the_frames_is_found_and_written_beside_the_model(
    sample: FrameSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_adaptation, "ROUNDS", 1)
    monkeypatch.setattr(self_supervision, "BATCH", 4)
    work = FrameAdaptation(find_model("flagship-2d"), sample)

    kept = work.run(Event(), lambda found: None)
    work.write(tmp_path / "mine", name="mine")

    assert kept is not work.rounds[0]
    assert kept.sigma_nm == pytest.approx(150.0, abs=5.0)
    assert kept.excess < work.rounds[0].excess
    psf = load(tmp_path / "mine" / "psf.toml").psf
    assert psf.sigma_nm == pytest.approx(kept.sigma_nm, abs=0.1)
    assert "frames without truth" in load_manifest(tmp_path / "mine").origin


def test_it_stops_where_the_verdict_is_no_better_and_keeps_the_best(
    sample: FrameSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = FrameAdaptation(find_model("flagship-2d-fast"), sample)
    values = iter([9.0, 4.0, 3.0, 3.5, 3.1, 1.0])
    verdict = Verdict(
        looked_at=900, waited=True, spots=500, width_ratio=1.0, chi2=1.0, noise_ratio=1.0,
        repeats=0, repeat_std=1.0, gridding=0.0, findings=(),
        judges_psf=True,
    )  # fmt: skip

    def judge(steps: int, report: object) -> Round:
        found = Round(
            steps=steps, sigma_nm=150.0, misfit=2.0, excess=next(values), photons=1e6,
            verdict=verdict,
        )  # fmt: skip
        work.rounds.append(found)
        return found

    monkeypatch.setattr(work, "_judge", judge)
    monkeypatch.setattr(work._learner, "measure_psf", lambda: iter(()))
    monkeypatch.setattr(work._learner, "step", lambda n: 0.0)

    kept = work.run(Event(), lambda found: None)

    assert kept.excess == 3.0
    assert [found.excess for found in work.rounds] == [9.0, 4.0, 3.0, 3.5, 3.1]


def test_a_round_that_loses_light_is_not_kept(
    sample: FrameSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = FrameAdaptation(find_model("flagship-2d-fast"), sample)
    verdict = Verdict(
        looked_at=900, waited=True, spots=500, width_ratio=1.0, chi2=1.0, noise_ratio=1.0,
        repeats=0, repeat_std=1.0, gridding=0.0, findings=(), judges_psf=True,
    )  # fmt: skip
    rounds = iter([(9.0, 1.0), (8.0, 1.0), (4.0, 0.6), (3.0, 0.5)])

    def judge(steps: int, report: object) -> Round:
        excess_now, photons = next(rounds)
        found = Round(
            steps=steps, sigma_nm=150.0, misfit=2.0, excess=excess_now, photons=photons,
            verdict=verdict,
        )  # fmt: skip
        work.rounds.append(found)
        return found

    monkeypatch.setattr(work, "_judge", judge)
    monkeypatch.setattr(work._learner, "measure_psf", lambda: iter(()))
    monkeypatch.setattr(work._learner, "step", lambda n: 0.0)

    assert work.run(Event(), lambda found: None).excess == 8.0


def test_frames_with_too_few_lone_spots_give_no_verdict(tmp_path: Path) -> None:
    path = movie_of(tmp_path / "m.tif", 24, (48, 48), 2)
    work = FrameAdaptation(
        find_model("flagship-2d-fast"), sample_movie(path, load(None, settings(150.0)))
    )

    with pytest.raises(ConfigError, match=r"no verdict on the PSF.*200 are needed"):
        work.run(Event(), lambda found: None)


def test_what_could_not_be_measured_does_not_count() -> None:
    verdict = Verdict(
        looked_at=9, waited=True, spots=9, width_ratio=float("nan"), chi2=1.35, noise_ratio=1.0,
        repeats=0, repeat_std=0.5, gridding=float("nan"), findings=(),
        judges_psf=True,
    )  # fmt: skip

    assert excess(verdict) == pytest.approx(1.0)
