"""What is calibrated at export: thresholds, and the factors on stated errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.localizations import F32  # noqa: E402
from rtsmlm.models.manifest import DecodeEntry  # noqa: E402
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row, is_sure  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.simulation.training_windows import Targets, Windows  # noqa: E402
from rtsmlm.models.training.output_calibration import Choices, tune  # noqa: E402
from rtsmlm.models.training.scoring import PairReach, pairs_of, score  # noqa: E402

SIDE, PER_WINDOW = 32, 6
STD = {Row.STD_X: 0.1, Row.STD_Y: 0.1, Row.STD_Z: 0.05, Row.STD_PHOTONS: 50.0}


def emitters(n: int, generator: torch.Generator, crowding: float = 1.0) -> Windows:
    """Return windows of six emitters of 2000 photons, without their frames."""
    m = n * PER_WINDOW
    uniform = torch.rand(3, m, generator=generator)
    targets = Targets(
        window=torch.arange(n).repeat_interleave(PER_WINDOW),
        x_px=4.0 + 24.0 * uniform[0],
        y_px=4.0 + 24.0 * uniform[1],
        photons=torch.full((m,), 2000.0),
        ignored=torch.zeros(n, SIDE, SIDE, dtype=torch.bool),
        background=torch.zeros(n, SIDE // 2, SIDE // 2),
        z=2.0 * uniform[2] - 1.0,
    )
    nothing = torch.zeros(n, 1)
    return Windows(nothing, nothing, nothing, nothing, targets)


def true_rows(windows: Windows, rng: np.random.Generator, factor: float) -> F32:
    """Return a row for each emitter, wrong by a factor more than it states."""
    t = windows.targets
    assert t.z is not None
    rows = np.zeros((len(t.x_px), COLUMNS), dtype=np.float32)
    for column, values in (
        (Row.X, t.x_px), (Row.Y, t.y_px), (Row.Z, t.z), (Row.PHOTONS, t.photons)
    ):  # fmt: skip
        rows[:, column] = values.numpy()
    for column, std in zip((Row.X, Row.Y, Row.Z, Row.PHOTONS), STD, strict=True):
        rows[:, column] += factor * STD[std] * rng.standard_normal(len(rows))
        rows[:, std] = STD[std]
    rows[:, Row.PROBABILITY] = 0.8
    return rows


class Finder:
    """Finds all emitters, and as many false rows that are improbable or dim."""

    def __init__(self, *, factor: float = 1.0, false: dict[Row, float] | None = None) -> None:
        self.factor, self.false = factor, false
        self.rng = np.random.default_rng(1)

    def __call__(self, windows: Windows, *, settings: DecodeSettings) -> list[F32]:
        rows = true_rows(windows, self.rng, self.factor)
        window = windows.targets.window.numpy()
        if self.false is not None:
            ghosts = rows.copy()
            ghosts[:, Row.X] = ghosts[:, Row.Y] = 1.0
            for column, value in self.false.items():
                ghosts[:, column] = value
            rows, window = np.concatenate([rows, ghosts]), np.tile(window, 2)
        kept = rows[:, Row.PROBABILITY] > settings.min_probability
        return [rows[kept & (window == k)] for k in range(len(windows.context))]


def calibrated(finder: Finder, choices: Choices | None = None) -> DecodeEntry:
    return tune(
        SimulationRanges(),
        lambda ranges: emitters,
        finder,
        axial=True,
        choices=choices,
        reach=PairReach(axial=0.5),
        n_windows=64,
    )


def test_errors_twice_as_large_as_stated_get_a_factor_of_two() -> None:
    entry = calibrated(Finder(factor=2.0))

    assert entry.std_scale[0] == pytest.approx(2.0, rel=0.1)
    assert entry.std_scale_z[0] == pytest.approx(2.0, rel=0.1)
    assert entry.std_scale_photons == pytest.approx(2.0, rel=0.1)
    assert entry.photons_scale == pytest.approx(1.0, abs=0.01)


def test_nothing_is_chosen_that_is_given() -> None:
    entry = calibrated(Finder(false={Row.PROBABILITY: 0.6, Row.PHOTONS: 10.0}))

    assert (entry.min_probability, entry.vague_snr) == (0.5, 5.5)


def test_the_probability_is_chosen_that_keeps_false_rows_out() -> None:
    finder = Finder(false={Row.PROBABILITY: 0.35})

    entry = calibrated(finder, Choices(min_probability=(0.2, 0.3, 0.4, 0.6, 0.9)))

    # 0.4 and 0.6 report the same rows; 0.9 none.
    assert 0.4 <= entry.min_probability <= 0.6


def test_light_as_uncertain_as_that_of_false_rows_is_doubted() -> None:
    finder = Finder(false={Row.PHOTONS: 200.0})

    entry = calibrated(finder, Choices(vague_snr=(0.0, 2.0, 5.0, 8.0, 60.0)))

    # False rows have 4 standard deviations of light, true ones 40.
    assert entry.vague_snr in (5.0, 8.0)


def test_a_dim_row_must_be_the_more_probable_the_lonelier_it_is() -> None:
    rows = np.zeros((4, COLUMNS), dtype=np.float32)
    rows[:, Row.PHOTONS], rows[:, Row.STD_PHOTONS] = 100.0, 40.0
    rows[:, Row.PROBABILITY] = 0.75
    rows[:, Row.CROWD] = 0.0, 0.2, 0.8, 3.0
    settings = DecodeSettings(vague_probability=0.9, vague_crowd_probability=0.5)

    assert is_sure(rows, settings).tolist() == [False, False, True, True]
    bright = rows.copy()
    bright[:, Row.PHOTONS] = 4000.0
    assert is_sure(bright, settings).all()
    rows[:, Row.PROBABILITY] = 0.45
    assert not is_sure(rows, settings).any()


def test_a_crowd_of_dim_rows_alone_is_noise() -> None:
    rows = np.zeros((5, COLUMNS), dtype=np.float32)
    rows[:, Row.PHOTONS] = [100.0, 100.0, 5000.0, 5000.0, 100.0]
    rows[:, Row.STD_PHOTONS], rows[:, Row.PROBABILITY], rows[:, Row.CROWD] = 40.0, 0.75, 1.5
    frame = np.array([0, 0, 1, 1, 1])

    kept = is_sure(rows, DecodeSettings(vague_crowd_probability=0.5), frame)

    assert kept.tolist() == [False, False, True, True, True]


def test_among_others_dim_rows_are_doubted_where_they_are_false() -> None:
    chances = (0.5, 0.7, 0.9)
    false = {Row.PHOTONS: 20.0, Row.PROBABILITY: 0.6, Row.CROWD: 2.0}

    doubted = calibrated(Finder(false=false), Choices(vague_crowd_probability=chances))

    assert doubted.vague_crowd_probability in (0.7, 0.9)


def test_of_two_emitters_in_a_column_a_row_has_the_one_of_its_depth() -> None:
    windows = emitters(1, torch.Generator().manual_seed(0))
    t = windows.targets
    assert t.z is not None
    t.x_px[:2], t.y_px[:2] = 10.0, 10.0
    t.z[:2] = torch.tensor([-0.8, 0.8])
    row = np.zeros((1, COLUMNS), dtype=np.float32)
    row[0, [Row.X, Row.Y, Row.Z]] = 10.5, 10.0, 0.7
    window = np.zeros(1, dtype=np.int64)

    rows, found = pairs_of(window, row, t, PairReach(axial=0.5))
    row[0, Row.Z] = 0.0
    nowhere, _ = pairs_of(window, row, t, PairReach(axial=0.5))

    assert (rows.tolist(), found.tolist()) == ([0], [1])
    assert not len(nowhere)


def test_rows_where_an_emitter_too_dim_to_be_asked_for_lies_are_not_false() -> None:
    def sample(n: int, generator: torch.Generator, crowding: float) -> Windows:
        windows = emitters(n, generator)
        windows.targets.ignored[:, 1, 1] = True
        return windows

    def rows_of(windows: Windows) -> list[F32]:
        finder = Finder(false={Row.PHOTONS: 100.0})
        return finder(windows, settings=DecodeSettings())

    counted = score(sample, rows_of, PairReach(), n_windows=32, seed=0)

    assert len(counted.rows) == counted.n_emitters == 32 * PER_WINDOW
    assert counted.jaccard(counted.paired) == 1.0
