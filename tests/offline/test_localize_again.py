"""The first frames are localized again with the measured width: their rows alone are replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, read_arrow_table
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.offline import localize_again as module
from rtsmlm.offline.localize_again import localize_again
from rtsmlm.protocols import ALL, AS_FOUND
from rtsmlm.realtime.ledger import Ledger

N_FRAMES = 40
LIVE, AGAIN = 1.0, 2.0
"""Photons of rows that say when they were made."""


class Movie:
    """Frames of which the camera lost number 5."""

    frame_index: NDArray[np.int64] = np.array([k for k in range(N_FRAMES) if k != 5])
    n_frames = N_FRAMES - 1

    def read(self, indices: NDArray[np.int64]) -> Pixels:
        return np.zeros((len(indices), 4, 4), dtype=np.uint16)


class AgainLocalizer:
    """Two rows per frame; frame 7 fails."""

    name, neighbours, uses_all_cores = "again", 0, True
    max_local_per_um2, recall = 0.3, AS_FOUND

    def warm_up(self, shape: tuple[int, int]) -> None:
        pass

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        numbers = batch.index[targets]
        if 7 in numbers:
            raise LocalizerError("frame 7 is torn")
        return rows(np.repeat(numbers, 2), AGAIN)


def rows(frames: NDArray[np.int64], photons: float) -> Localizations:
    place = np.full(len(frames), 100.0, dtype=np.float32)
    return Localizations.from_columns(
        {"frame": frames, "x_nm": place, "y_nm": place, "photons": place * 0 + photons}
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "localizations.arrows"
    with ArrowStreamFile(path, {"pixel_nm": 100.0, "psf_sigma_nm": 160.0}) as file:
        for part in np.split(Movie.frame_index[Movie.frame_index != 10], 5 * np.arange(1, 7)):
            file.put(rows(part, LIVE))
    return path


@pytest.fixture
def ledger() -> Ledger:
    """Return the ledger of a run that has skipped frame 10."""
    ledger = Ledger()
    for index in Movie.frame_index.tolist():
        ledger.receive(index, queued=index != 10)
    ledger.release(N_FRAMES)
    return ledger


def again(
    table: Path, ledger: Ledger, before: int, is_broken_off: Callable[[], bool] = lambda: False
) -> bool:
    return localize_again(
        Movie(), ledger, table, AgainLocalizer, before, is_broken_off=is_broken_off
    )


def test_frames_before_the_measured_width_have_rows_of_that_width_alone(
    table: Path, ledger: Ledger
) -> None:
    assert again(table, ledger, 20)

    found, metadata = read_arrow_table(table)
    anew = [k for k in Movie.frame_index.tolist() if k < 20 and k not in (7, 10)]
    assert found.frame[found.photons == AGAIN].tolist() == sorted([*anew, *anew])
    left = [k for k in Movie.frame_index.tolist() if k not in anew and k != 10]
    assert found.frame[found.photons == LIVE].tolist() == left, "one that fails keeps its rows"
    assert np.all(np.diff(found.frame) >= 0)
    assert metadata["psf_sigma_nm"] == 160.0
    books = ledger.as_dict()
    assert books["ranges"]["localized_again"] == [[0, 4], [6, 6], [8, 9], [11, 19]]
    assert books["balances"]
    assert ledger.totals().localized == N_FRAMES - 2
    assert len(ledger.skipped()) == 1


def test_a_run_whose_end_is_broken_off_keeps_its_table_to_the_byte(
    table: Path, ledger: Ledger
) -> None:
    before = table.read_bytes()

    assert not again(table, ledger, 20, lambda: True)

    assert table.read_bytes() == before
    assert ledger.as_dict()["ranges"]["localized_again"] == []
    assert list(table.parent.iterdir()) == [table]


@pytest.mark.parametrize("before", [0, 20])
def test_where_there_is_nothing_to_do_or_the_table_is_huge_it_stays_as_it_is(
    table: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000 if before else 1 << 30)
    bytes_before = table.read_bytes()

    assert not again(table, ledger, before)

    assert table.read_bytes() == bytes_before
