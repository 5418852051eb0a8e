"""What the training simulator draws from: one frozen section of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from rtsmlm.settings.base import Settings


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


class AstigmatismRanges(Settings):
    """Astigmatic PSFs: ``sigma(z) = sigma0 sqrt(1 + u² + a u³ + b u⁴)``, ``u = (z ± c) / d``.

    Depths are in units of d, the depth of focus; the network knows z in halves of its range.
    """

    sigma0_px: Span = (0.85, 1.9)
    """Width in focus along x; along y it differs by `ellipticity`."""
    separation: Span = (0.4, 1.05)
    """c / d, of either sign."""
    depth_ratio: Span = (0.85, 1.18)
    """d along x over d along y."""
    half_range: Span = (1.0, 2.4)
    """Half of the range of z, over d."""
    off_center: float = 0.15
    """Largest distance of the middle of the range from the middle of the foci, over d."""
    cubic: float = 0.12
    """Standard deviation of a."""
    quartic: Span = (0.0, 0.35)
    """b."""
    curve_error: float = 0.02
    """Standard deviation of the relative error of the widths given to the network."""
    thin_fraction: float = 0.4
    """Windows whose emitters lie near one depth."""
    thickness: LogSpan = (0.05, 0.5)
    """Standard deviation of their depths, in half ranges."""
    computed_astigmatism_nm: Span = (50.0, 95.0)
    """Astigmatism of computed PSFs, rms of the wavefront."""


class SimulationRanges(Settings):
    """Ranges per training window; fractions are probabilities per window.

    Densities are emitters per µm² and frame at a pixel of 100 nm. Photons are detected photons of
    an emitter that is on for a whole frame.
    """

    window_frames: int = Field(default=3, ge=3, le=15)
    """Frames of a window, an odd number; the middle one is localized."""
    crop_px: int = 64
    """Side of a window; a multiple of 8."""
    margin_px: float = 3.0
    """How far outside the window emitters still shine into it."""
    sigma_px: Span = (0.8, 2.4)
    """Standard deviation of the PSF in focus."""
    usual_sigma_px: Span = (0.95, 1.65)
    """Where most microscopes are, sampled more densely."""
    usual_fraction: float = 0.5
    ellipticity: Span = (0.85, 1.18)
    """sigma_x / sigma_y."""
    sigma_jitter: float = 0.10
    """Largest relative scatter of the PSF width between emitters of a window."""
    deep_fraction: float = 0.10
    """Emitters spread in depth: the width grows as sqrt(1 + u²)."""
    deep_u: Span = (0.5, 2.0)
    """Largest u of such a window."""
    computed_fraction: float = 0.3
    """The PSF of a computed objective instead of a Gaussian."""
    computed_psfs: int = 48
    """How many different ones there are."""
    computed_u: LogSpan = (0.3, 2.2)
    """Largest u of such a window; 1 is 350 nm from focus."""
    aberration_nm: float = 25.0
    """Standard deviation of the wavefront error of such a PSF by each aberration, rms."""
    halo_fraction: float = 0.1
    """Part of the light in a wider Gaussian, as the rings of a real PSF."""
    halo_weight: Span = (0.05, 0.35)
    halo_ratio: Span = (1.7, 2.8)
    astigmatism: AstigmatismRanges | None = None
    """An astigmatic PSF, whose curves are given to the network, instead of a round one."""
    unknown_sigma_fraction: float = 0.15
    """The network is not given the PSF width."""
    sigma_error: float = 0.04
    """Relative error of the width that it is given."""

    density: LogSpan = (0.02, 6.0)
    sparse_fraction: float = 0.35
    """Density drawn below 0.5 emitters per µm² instead."""
    empty_fraction: float = 0.10
    clustered_fraction: float = 0.28
    """Emitters along filaments or in clusters instead of anywhere."""
    paired_fraction: float = 0.12
    """Every other emitter beside the one before it."""
    pair_distance: Span = (0.4, 4.0)
    """Distance of such a pair, in widths of the PSF."""
    corner_fraction: float = 0.06
    """Half of the emitters where four pixels meet, the one place that no pixel is near to."""
    photons: LogSpan = (100.0, 20000.0)
    """Median of a window."""
    photons_spread: Span = (0.0, 0.7)
    """Standard deviation of the logarithm within a window."""
    on_time_frames: LogSpan = (0.5, 8.0)
    uncorrelated_fraction: float = 0.4
    """Every emitter is on in one frame only, for all of it."""
    moving_fraction: float = 0.10
    """Emitters diffuse from frame to frame."""
    diffusion_px2: LogSpan = (0.005, 0.05)
    """Diffusion coefficient of such a window, per frame."""

    background: LogSpan = (1.0, 600.0)
    """Detected photons per pixel."""
    smooth_fraction: float = 0.5
    """Background with a slow variation."""
    noise_fraction: float = 0.22
    """Background with several octaves of noise up to full contrast."""
    haze_fraction: float = 0.18
    """Emitters far out of focus."""

    emccd_fraction: float = 0.28
    ideal_fraction: float = 0.05
    read_noise_e: LogSpan = (0.7, 3.0)
    hot_fraction: float = 0.08
    """Pixels that are brighter than their light, the same in all frames, and nothing says so."""
    masked_fraction: float = 0.12
    """Pixels that are known to be wrong: their neighbours stand for them, and their stated
    variance tells it."""
    wrong_pixels: LogSpan = (2e-4, 1e-2)
    """Share of such pixels in such a window."""
    hot_photons: LogSpan = (10.0, 2000.0)
    """Mean of what a hot pixel adds; each has its own."""
    gain_error: float = 0.10
    offset_error_e: float = 2.5
    context_dropout: float = 0.10
    """Probability that the previous frame is missing; the same for the next one."""
    repeated_fraction: float = 0.03
    """Probability that a neighbour is the target frame once more; the same for each."""
    foreign_fraction: float = 0.03
    """Probability that a neighbour is a frame of another place; the same for each."""

    min_photons: float = 60.0
    """Dimmer emitters shine but are not asked for."""
    min_snr: float = 2.0
    """The same below this ratio of photons to the noise under the PSF."""
