"""Localizations where emitters are, with all of their light, of a localizer that knows a Gaussian.

That finds them where their spots seem to be, with the light that the Gaussian sees.
"""

from __future__ import annotations

from rtsmlm.fitting.wobble import without_wobble
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import Wobble
from rtsmlm.protocols import ALL, Localizer, RecallTable


class _OfOther:
    """What a localizer has from the one whose rows it changes."""

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer

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


class WithoutWobble(_OfOther):
    """Takes the wobble of the PSF off the rows of a localizer, as a `Localizer`.

    Parameters
    ----------
    localizer
        What finds x, y and z as the curves of the PSF say.
    wobble
        How far off they are; `psf.astigmatism.wobble`.
    """

    def __init__(self, localizer: Localizer, wobble: Wobble) -> None:
        super().__init__(localizer)
        self._wobble = wobble

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the rows at their true places; see `Localizer`."""
        return without_wobble(self._localizer(batch, targets), self._wobble)


class WithHalo(_OfOther):
    """Adds the light in the halo of the PSF to the photons of all rows, as a `Localizer`.

    Parameters
    ----------
    localizer
        What states the photons that a Gaussian holds.
    halo
        Share of the light beyond it; `psf.halo`.
    """

    def __init__(self, localizer: Localizer, halo: float) -> None:
        super().__init__(localizer)
        self._times = 1.0 / (1.0 - halo)

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the rows with all of their photons; see `Localizer`."""
        locs = self._localizer(batch, targets)
        columns = dict(locs.columns())
        for name in _OF_LIGHT:
            columns[name] = (self._times * columns[name]).astype(columns[name].dtype)
        return Localizations(**columns, extras=locs.extras)


_OF_LIGHT = ("photons", "std_photons")
