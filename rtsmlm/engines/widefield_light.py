"""The widefield image that a network of localizations is given, on the pixels of its answer.

A network believes it: of the image of another place it makes structures that no localization
supports. It is given only where its structures are those of the localizations. It has learned on
light that comes from the structure alone: haze, a slope of the illumination and out-of-focus light
are taken off before.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from rtsmlm.engines.image_field import ImageField
from rtsmlm.localizations import F32

LIKENESS = 0.28
"""Least correlation of the structures of both, between `FINE_NM` and `COARSE_NM`.

Simulated, eight fields of 10 µm for each of three structures: least of the same place, and largest
of another field, a mirrored one, or one that is shifted by 0.8 or 3 µm. A slope and clouds have
twice the light of the structures, vignetting leaves 13 % of it in the corners, haze is the
structures behind a blur of 0.8 µm. Shifted by 0.3 µm it is 0.4 to 0.7 and is not noticed.

=====================  ============  ============  ============  ============  ===========
times fewer frames     flat          slope         clouds        vignetting    haze
=====================  ============  ============  ============  ============  ===========
10 (from 4000 rows)    0.91 | 0.18   0.91 | 0.18   0.85 | 0.18   0.75 | 0.16   0.75 | 0.21
30 (from 1300)         0.84 | 0.18   0.84 | 0.18   0.80 | 0.17   0.68 | 0.16   0.71 | 0.21
100 (from 370)         0.61 | 0.15   0.61 | 0.15   0.60 | 0.15   0.52 | 0.12   0.52 | 0.18
300 (from 120)         0.39 | 0.12   0.39 | 0.12   0.38 | 0.11   0.33 | 0.13   0.35 | 0.20
=====================  ============  ============  ============  ============  ===========

Raw light on a slope had 0.14 to 0.24 in the same place, and up to 0.22 elsewhere.
"""
FINE_NM, COARSE_NM = 200.0, 600.0
"""Standard deviations of the blurs between which structures are compared: wider than the PSF, and
narrower than what light adds by itself."""
LIGHT_NM = 150.0
"""That of the widefield image, which is blurred by the PSF already."""
STRUCTURE_NM = 1100.0
"""What is narrower is a structure, what is wider belongs to the background."""
NOISE_NM = 80.0
"""Blur against shot noise, of which a network has seen none."""
ENOUGH = 300
"""Localizations from which a correlation that is too low is worth a remark."""


class WidefieldLight:
    """A widefield image, or none.

    Parameters
    ----------
    image
        In camera pixels, (height, width); None where there is none.
    camera_nm
        Camera pixel.
    frames
        Field of the frames, whose light it is.
    field
        That of the answer, on the same grid.
    """

    def __init__(
        self, image: F32 | None, camera_nm: float, frames: ImageField, field: ImageField
    ) -> None:
        self._structures: F32 | None = None
        self._likeness, self._n_rows = 0.0, 0
        if image is None:
            return
        fine = field.pixel_nm / camera_nm
        self._part = field.within(frames)
        self._block_px = max(1, int(1.0 / fine + 1e-6))
        self._block_nm = self._block_px * field.pixel_nm
        shape = [part.stop - part.start for part in self._part]
        start = [a + part.start for a, part in zip(field.start, self._part, strict=True)]
        blocks = tuple(n // self._block_px for n in shape)
        light = _sampled(image, [fine * a for a in start], fine * self._block_px, blocks)
        self._compared = _band(light, LIGHT_NM / self._block_nm, COARSE_NM / self._block_nm)
        self._structures = np.zeros(field.shape, dtype=np.float32)
        self._structures[self._part] = _sampled(
            structures(image, camera_nm), [fine * a for a in start], fine, tuple(shape)
        )

    @property
    def is_given(self) -> bool:
        """Whether the network is given it: it resembles the localizations."""
        return self._structures is not None and self._likeness >= LIKENESS

    @property
    def remark(self) -> str | None:
        """Why it is not given although there is one; None while there are few localizations."""
        if self._structures is None or self.is_given or self._n_rows < ENOUGH:
            return None
        return (
            "results.widefield does not look like the localizations (correlation "
            f"{self._likeness:.2f}, {LIKENESS:g} is needed) and is left out; give an image of the "
            "same structure and of the same region of the camera"
        )

    def compare(self, counts: F32) -> None:
        """Compare it with the localizations in each pixel, (height, width)."""
        self._n_rows = int(counts.sum(dtype=np.float64))
        if self._structures is None:
            return
        rows, columns = self._compared.shape
        n = self._block_px
        whole = counts[self._part][: rows * n, : columns * n]
        blocks = whole.reshape(rows, n, columns, n).sum(axis=(1, 3))
        found = _band(blocks, FINE_NM / self._block_nm, COARSE_NM / self._block_nm)
        spread = float(found.std()) * float(self._compared.std())
        apart = float(np.mean((found - found.mean()) * (self._compared - self._compared.mean())))
        self._likeness = apart / spread if spread > 0.0 else 0.0

    def part(self, part: tuple[slice, slice]) -> F32:
        """Return a part, (1, 1, height, width): its edge is repeated beyond it; 0 if not given."""
        shape = tuple(side.stop - side.start for side in part)
        if self._structures is None or not self.is_given:
            return np.zeros((1, 1, *shape), dtype=np.float32)
        light = self._structures[part]
        margin = [(0, a - b) for a, b in zip(shape, light.shape, strict=True)]
        padded: F32 = np.pad(light, margin, mode="edge")
        return padded[None, None]


def structures(image: F32, camera_nm: float) -> F32:
    """Return the light of structures alone, without the smooth light around them.

    The background is what remains of the light where all that is narrower than `STRUCTURE_NM` is
    taken off (a morphological opening), and is not above it anywhere but for its blur.

    Parameters
    ----------
    image
        Light in camera pixels, (height, width).
    camera_nm
        Camera pixel.
    """
    light = _blurred(image.astype(np.float32), NOISE_NM / camera_nm)
    side = max(3, round(STRUCTURE_NM / camera_nm))
    padded = _continued(light, 2 * side)
    lower = ndimage.grey_opening(padded, (side, side))[2 * side : -2 * side, 2 * side : -2 * side]
    above: F32 = np.maximum(light - _blurred(lower, 0.5 * STRUCTURE_NM / camera_nm), 0.0)
    return above


def _sampled(image: F32, start: list[float], step: float, shape: tuple[int, ...]) -> F32:
    """Return an image on a grid of other pixels, linear between the centres of its own.

    Parameters
    ----------
    image
        In camera pixels.
    start, step, shape
        Corner of the grid and side of its pixels, in camera pixels, and their number.
    """
    centre = [at + 0.5 * step - 0.5 for at in start]
    sampled: F32 = ndimage.affine_transform(
        image.astype(np.float32), np.full(2, step), centre, shape, order=1, mode="nearest"
    )
    return sampled


def _band(image: F32, fine_px: float, coarse_px: float) -> F32:
    """Return an image blurred, without what another blur leaves."""
    return _blurred(image, fine_px) - _blurred(image, coarse_px)


def _blurred(image: F32, sigma_px: float) -> F32:
    """Return an image blurred as if a slope went on beyond its edge."""
    margin = int(4.0 * sigma_px) + 1
    blurred = ndimage.gaussian_filter(_continued(image, margin), sigma_px)
    inner: F32 = blurred[margin:-margin, margin:-margin]
    return inner


def _continued(image: F32, margin: int) -> F32:
    """Return an image with a margin that goes on as it ends: mirrored at its edge and its level."""
    return np.pad(image, margin, mode="reflect", reflect_type="odd")
