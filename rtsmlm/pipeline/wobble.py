"""Localizations where emitters are, of a localizer that finds them where their spots seem to be."""

from __future__ import annotations

from rtsmlm.fitting.wobble import without_wobble
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import Wobble
from rtsmlm.protocols import ALL, Localizer, RecallTable


class WithoutWobble:
    """Takes the wobble of the PSF off the rows of a localizer, as a `Localizer`.

    Parameters
    ----------
    localizer
        What finds x, y and z as the curves of the PSF say.
    wobble
        How far off they are; `psf.astigmatism.wobble`.
    """

    def __init__(self, localizer: Localizer, wobble: Wobble) -> None:
        self._localizer, self._wobble = localizer, wobble

    @property
    def name(self) -> str:
        """That of the localizer."""
        return self._localizer.name

    @property
    def neighbours(self) -> int:
        """That of the localizer."""
        return self._localizer.neighbours

    @property
    def uses_all_cores(self) -> bool:
        """That of the localizer."""
        return self._localizer.uses_all_cores

    @property
    def max_local_per_um2(self) -> float:
        """That of the localizer."""
        return self._localizer.max_local_per_um2

    @property
    def recall(self) -> RecallTable:
        """That of the localizer."""
        return self._localizer.recall

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Prepare the localizer; see `Localizer.warm_up`."""
        self._localizer.warm_up(shape)

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the rows at their true places; see `Localizer`."""
        return without_wobble(self._localizer(batch, targets), self._wobble)
