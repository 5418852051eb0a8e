"""What the training simulator draws from: one frozen section of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from rtsmlm.config import Settings


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1]:
        raise ValueError(f"the range {span} must be ascending")
    return span


def _positive(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] <= 0:
        raise ValueError(f"the range {span} is drawn in logarithms; it must be above 0")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_ascending)]
"""Drawn uniformly between both ends."""
LogSpan = Annotated[Span, AfterValidator(_positive)]
"""Drawn uniformly in the logarithm between both ends."""


class SimulationRanges(Settings):
    """Ranges per training window; fractions are probabilities per window.

    Densities are emitters per µm² and frame at a pixel of 100 nm. Photons are detected photons of
    an emitter that is on for a whole frame.
    """

    crop_px: int = 64
    """Side of a window; a multiple of 8."""
    margin_px: float = 3.0
    """How far outside the window emitters still shine into it."""
    sigma_px: Span = (0.8, 2.4)
    """Standard deviation of the PSF in focus."""
    usual_sigma_px: Span = (0.95, 1.65)
    """Where most microscopes are, sampled more densely."""
    usual_fraction: float = 0.5
    ellipticity: Span = (0.92, 1.09)
    """sigma_x / sigma_y."""
    sigma_jitter: float = 0.05
    """Largest relative scatter of the PSF width between emitters of a window."""
    deep_fraction: float = 0.08
    """Emitters spread in depth: the width grows as sqrt(1 + u²)."""
    deep_u: Span = (0.5, 2.0)
    """Largest u of such a window."""
    computed_fraction: float = 0.2
    """The PSF of a computed objective instead of a Gaussian."""
    computed_psfs: int = 24
    """How many different ones there are."""
    computed_u: LogSpan = (0.2, 2.1)
    """Largest u of such a window; 1 is 350 nm from focus."""
    halo_fraction: float = 0.1
    """Part of the light in a wider Gaussian, as the rings of a real PSF."""
    halo_weight: Span = (0.05, 0.35)
    halo_ratio: Span = (1.7, 2.8)
    unknown_sigma_fraction: float = 0.15
    """The network is not told the PSF width."""
    sigma_error: float = 0.04
    """Relative error of the width that it is told."""

    density: LogSpan = (0.02, 6.0)
    sparse_fraction: float = 0.35
    """Density drawn below 0.5 emitters per µm² instead."""
    empty_fraction: float = 0.08
    clustered_fraction: float = 0.15
    """Emitters along filaments or in clusters instead of anywhere."""
    photons: LogSpan = (150.0, 20000.0)
    """Median of a window."""
    photons_spread: Span = (0.0, 0.7)
    """Standard deviation of the logarithm within a window."""
    on_time_frames: LogSpan = (0.5, 8.0)
    uncorrelated_fraction: float = 0.4
    """Every emitter is on in one frame only, for all of it."""

    background: LogSpan = (1.0, 600.0)
    """Detected photons per pixel."""
    smooth_fraction: float = 0.5
    """Background with a slow variation."""
    noise_fraction: float = 0.15
    """Background with several octaves of noise up to full contrast."""
    haze_fraction: float = 0.12
    """Emitters far out of focus."""

    emccd_fraction: float = 0.25
    ideal_fraction: float = 0.05
    read_noise_e: LogSpan = (0.7, 3.0)
    gain_error: float = 0.10
    offset_error_e: float = 2.5
    context_dropout: float = 0.10
    """Probability that the previous frame is missing; the same for the next one."""

    min_photons: float = 60.0
    """Dimmer emitters shine but are not asked for."""
    min_snr: float = 2.0
    """The same below this ratio of photons to the noise under the PSF."""
