"""Fits of boxes: what a localizer of spots asks of the step between detection and selection.

A fit gets boxes that were cut around candidates and gives parameters of the emitter in each: a
compiled fit of a model, or a network. A background fit states what else shines in a box.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import BACKGROUND, F64
from rtsmlm.fitting.elliptical_lsq import fit_elliptical_lsq
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle, fit_places
from rtsmlm.localizations import F32

NO_EXTRAS: tuple[str, ...] = ()


class BoxFit(Protocol):
    """Box to parameters; implemented by the compiled fits and by networks of boxes."""

    @property
    def method(self) -> str:
        """Name, as in the settings."""
        ...

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Names of what it finds beyond the columns of `boxes`: colour, aberrations, ...

        Those of columns of `Localizations`, such as probability, are written there; all others are
        extras of the rows.
        """
        ...

    @property
    def is_centered(self) -> bool:
        """Whether it wants each candidate in the middle of its box, also at the edge of a frame.

        There the last pixels are repeated, and the side of a box may be even. Other fits get boxes
        that are whole, in which the candidate may lie anywhere.
        """
        ...

    def __call__(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64
    ) -> F32 | None:
        """Write the rows of `rtsmlm.fitting.boxes.fit_table`, and return the extra columns.

        Parameters
        ----------
        photons, variance
            Light and read variance of the boxes in photons and photons², (n, box, box).
        start_x, start_y
            Where the candidates are, in pixels from the centre of the box's first pixel, (n,).
        rows
            Written, (n, `boxes.N_COLUMNS`).

        Returns
        -------
        :
            (n, len(extra_columns)), or None where there are no extra columns.
        """
        ...


class BackgroundFit(Protocol):
    """Box to background: light of the box that is not the emitter's."""

    @property
    def method(self) -> str:
        """Name, for the name of the localizer."""
        ...

    def __call__(self, photons: F32, variance: F32) -> F32:
        """Return the background in photons per pixel, (n, box, box), 0 or more."""
        ...


class TrainedBackgroundFit(BackgroundFit, Protocol):
    """A background fit that takes boxes of one side, as a network does."""

    @property
    def box_px(self) -> int:
        """The side."""
        ...


def axis_widths(sigma_px: float, ellipticity: float) -> tuple[float, float]:
    """Return the widths along x and y of their geometric mean and their ratio."""
    root = math.sqrt(ellipticity)
    return sigma_px * root, sigma_px / root


class GaussianMle:
    """Maximum likelihood fit of an integrated Gaussian.

    Parameters
    ----------
    sigma_px
        Standard deviation of the PSF.
    fit_sigma
        Fit the width of every spot, too.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Newton steps per fit.
    ellipticity
        Width along x over that along y, about their mean; has no effect where widths are fitted.
    """

    method = "gaussian-mle"
    extra_columns = NO_EXTRAS
    is_centered = False

    def __init__(
        self,
        sigma_px: float,
        *,
        fit_sigma: bool,
        excess_noise: float,
        max_iterations: int,
        ellipticity: float = 1.0,
    ) -> None:
        self._sigma_px = float(sigma_px) if fit_sigma else None
        self.widths_px = axis_widths(float(sigma_px), ellipticity)
        """Along x and y."""
        self._others = (float(excess_noise), max_iterations)

    def __call__(self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64) -> None:
        """Write the rows; see `BoxFit`."""
        boxes = (photons, variance, start_x, start_y)
        if self._sigma_px is not None:
            fit_gaussian_mle(*boxes, self._sigma_px, True, *self._others, rows)
        else:
            fit_places(*boxes, self.widths_px, *self._others, rows)


def fit_of_lone(
    sigma_px: float, excess_noise: float, max_iterations: int, ellipticity: float
) -> GaussianMle:
    """Return the fit of lone emitters of a PSF without depth; arguments as for `GaussianMle`."""
    return GaussianMle(
        sigma_px,
        fit_sigma=False,
        excess_noise=excess_noise,
        max_iterations=max_iterations,
        ellipticity=ellipticity,
    )


class EllipticalLsq:
    """Weighted least squares fit of a rotated elliptical Gaussian.

    Parameters
    ----------
    sigma_px, excess_noise, max_iterations
        As for `GaussianMle`.
    """

    method = "elliptical-lsq"
    extra_columns = NO_EXTRAS
    is_centered = False

    def __init__(self, sigma_px: float, *, excess_noise: float, max_iterations: int) -> None:
        self._arguments = (float(sigma_px), float(excess_noise), max_iterations)

    def __call__(self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64) -> None:
        """Write the rows; see `BoxFit`."""
        fit_elliptical_lsq(photons, variance, start_x, start_y, *self._arguments, rows)


class WithBackground:
    """A fit that knows the shape of the background of each box.

    A fit takes the background of a box for flat. What is known of its shape, less its least value,
    is taken out of the light and added to the variance: for a Poisson likelihood that is exactly
    the model with this background, since the sum of light and variance is fitted (Huang et al.,
    Nat. Methods 10, 653 (2013)). An EMCCD multiplies the variance of this light, too.

    Parameters
    ----------
    fit
        The fit.
    background
        States the background.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """

    def __init__(
        self, fit: BoxFit, background: BackgroundFit, *, excess_noise: float = 1.0
    ) -> None:
        self._fit, self._background = fit, background
        self._excess_noise = excess_noise
        self.method = f"{fit.method} on the background of {background.method}"
        self.extra_columns = fit.extra_columns
        self.is_centered = fit.is_centered

    def __call__(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64
    ) -> F32 | None:
        """Write the rows; the background of a row is the mean of its box."""
        light, noise, mean = on_known_background(
            self._background, photons, variance, self._excess_noise
        )
        extras = self._fit(light, noise, start_x, start_y, rows)
        rows[:, BACKGROUND] += mean
        return extras


def on_known_background(
    background: BackgroundFit, photons: F32, variance: F32, excess_noise: float
) -> tuple[F32, F32, NDArray[np.float64]]:
    """Return light and variance of boxes whose background is flat to a fit; see `WithBackground`.

    Parameters
    ----------
    background
        States the background.
    photons, variance
        Light and read variance of the boxes, (n, box, box).
    excess_noise
        Squared excess noise factor.

    Returns
    -------
    :
        Light and variance of the same shape, and the mean over each box of what was taken out,
        which belongs to the background that the fit finds, (n,).
    """
    if not len(photons):
        return photons, variance, np.empty(0)
    whole = background(photons, variance)
    shape = whole - whole.min(axis=(1, 2), keepdims=True)
    mean = np.asarray(shape.mean(axis=(1, 2), dtype=np.float64))
    return photons - shape, variance + np.float32(excess_noise) * shape, mean
