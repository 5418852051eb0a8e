"""The widefield image that a network of localizations is given, on the pixels of its answer.

A network believes it: of the image of another place it makes structures that no localization
supports. It is given only where it resembles the localizations.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from rtsmlm.localizations import F32

LIKENESS = 0.45
"""Least correlation with the localizations; images of other places, or 0.8 µm off, stay below 0.35,
those of the same place are above 0.6 from a hundredth of the localizations on (simulated)."""
BLUR_PX = 2.0
"""Of the localizations before they are compared, in camera pixels: wider than the PSF."""
ENOUGH = 300
"""Localizations from which a correlation that is too low is worth a remark."""


class WidefieldLight:
    """A widefield image, or none.

    Parameters
    ----------
    image
        In camera pixels, (height, width); None where there is none.
    fine
        Pixels of the answer in camera pixels.
    shape
        Height and width of the answer.
    """

    def __init__(self, image: F32 | None, fine: float, shape: tuple[int, int]) -> None:
        self._image: F32 | None = None
        self._blur_px = BLUR_PX / fine
        self._likeness, self._n_rows = 0.0, 0
        if image is not None:
            # Linear between the centres of camera pixels.
            start = 0.5 * fine - 0.5
            self._image = ndimage.affine_transform(
                image.astype(np.float32), np.full(2, fine), start, shape, order=1, mode="nearest"
            )

    @property
    def is_given(self) -> bool:
        """Whether the network is given it: it resembles the localizations."""
        return self._image is not None and self._likeness >= LIKENESS

    @property
    def remark(self) -> str | None:
        """Why it is not given although there is one; None while there are few localizations."""
        if self._image is None or self.is_given or self._n_rows < ENOUGH:
            return None
        return (
            "results.widefield does not look like the localizations (correlation "
            f"{self._likeness:.2f}, {LIKENESS:g} is needed) and is left out; give an image of the "
            "same structure and of the same region of the camera"
        )

    def compare(self, counts: F32) -> None:
        """Compare it with the localizations in each pixel, (height, width)."""
        self._n_rows = int(counts.sum(dtype=np.float64))
        if self._image is None:
            return
        found = ndimage.gaussian_filter(counts, self._blur_px, mode="constant")
        spread = float(found.std()) * float(self._image.std())
        apart = float(np.mean((found - found.mean()) * (self._image - self._image.mean())))
        self._likeness = apart / spread if spread > 0.0 else 0.0

    def part(self, part: tuple[slice, slice]) -> F32:
        """Return a part, (1, 1, height, width): its edge is repeated beyond it; 0 if not given."""
        shape = tuple(side.stop - side.start for side in part)
        if self._image is None or not self.is_given:
            return np.zeros((1, 1, *shape), dtype=np.float32)
        light = self._image[part]
        margin = [(0, a - b) for a, b in zip(shape, light.shape, strict=True)]
        padded: F32 = np.pad(light, margin, mode="edge")
        return padded[None, None]
