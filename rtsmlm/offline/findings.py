"""What the frames of a movie say beside their rows: counts, validity, the ledger, what failed.

Found batch by batch on one machine; on a cluster block by block, and put together in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.frame_counts import FrameCounter
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.realtime.ledger import Ledger
from rtsmlm.settings.run import RunSettings

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]
"""By name, as an .npz file holds them."""

_COUNTS, _VALIDITY = "counts_", "validity_"


class Findings:
    """What is found beside the rows, over frames in their order.

    Parameters
    ----------
    settings
        Settings in force.
    calibration
        Camera calibration in force.
    sigma_nm
        Standard deviation of the PSF in force.
    counter
        Counts the frames.
    warn
        Called with each finding on validity, one sentence.
    doubt
        What the frames say against the calibration, one sentence.
    """

    def __init__(
        self,
        settings: RunSettings,
        calibration: CameraCalibration,
        sigma_nm: float,
        counter: FrameCounter,
        warn: Callable[[str], None],
        doubt: str = "",
    ) -> None:
        self.counter = counter
        self.validity = ValidityMonitor(settings, calibration, sigma_nm, warn, doubt)
        self.ledger = Ledger()
        self.failed: list[tuple[int, str]] = []
        """Numbers of the frames that could not be localized, and why."""
        self.n_rows = self.n_frames = 0

    def fail(self, frame: int, why: str) -> None:
        """Note a frame that could not be localized; from any thread."""
        self.failed.append((frame, why))

    def add(self, batch: FrameBatch, rows: Localizations) -> None:
        """Take in the next frames and their rows."""
        self.validity.sample(rows, batch)
        self.counter.add(batch.pixels)
        self._book(batch.index.tolist(), len(rows))

    def add_block(
        self,
        index: NDArray[np.int64],
        n_rows: int,
        arrays: Arrays,
        failed: Iterable[tuple[int, str]],
    ) -> None:
        """Take in what was found of the next frames elsewhere.

        Parameters
        ----------
        index
            Numbers of the frames, shape (n,).
        n_rows
            How many rows they have.
        arrays
            What `as_arrays` returned there.
        failed
            What `failed` held there.
        """
        self.counter.extend(_part(arrays, _COUNTS))
        self.validity.extend(_part(arrays, _VALIDITY))
        self.failed += failed
        self._book(index.tolist(), n_rows)

    def as_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return counts and validity so far, for `add_block`."""
        return {
            **{_COUNTS + name: value for name, value in self.counter.as_arrays().items()},
            **{_VALIDITY + name: value for name, value in self.validity.as_arrays().items()},
        }

    def _book(self, index: list[int], n_rows: int) -> None:
        for number in index:
            self.ledger.receive(number, queued=True)
            self.ledger.record(number, number + 1)
        self.ledger.release(len(index))
        self.n_frames += len(index)
        self.n_rows += n_rows

    def finish(self) -> None:
        """Look for a ceiling once more, and book the frames that failed."""
        self.counter.look()
        for frame, _ in self.failed:
            self.ledger.fail(frame, frame + 1)


def _part(arrays: Arrays, start: str) -> dict[str, NDArray[np.generic]]:
    return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
