"""Spectra of single molecules, dispersed over a few rows of pixels, as they are cut out of frames.

Light of each wavelength is a Gaussian at its place. What falls between two pixels is read off by a
straight line, as `rtsmlm.fitting.spectrum_boxes` cuts it, so that neighbouring samples share noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.dye_ranges import SpectrumRanges
from rtsmlm.models.simulation.scenes import poisson
from rtsmlm.physics.spectra import DYES, Spectrum

STEP_NM = 3.0
"""Between the wavelengths that a spectrum is made of: less than a pixel."""
MARGIN_PX = 8
"""Beyond the first and the last wavelength that are looked at."""


@dataclass(frozen=True, slots=True)
class DyeSpectra:
    """A batch of spectra."""

    photons: Tensor
    """Photons per pixel at the place of each wavelength, (n, 1, rows, samples)."""
    dye: Tensor
    """Index of the dye, (n,)."""
    light: Tensor
    """Photons in the whole spectrum, (n,)."""
    background: Tensor
    """Photons per pixel, (n,)."""
    nm_per_px: Tensor
    """(n,)."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Where light falls along a spectrum."""

    ranges: SpectrumRanges
    nm_per_px: Tensor
    """(n, 1)."""
    middle_px: Tensor
    """Place of the reference wavelength, (n, 1)."""

    def place_px(self, nm: Tensor) -> Tensor:
        """Return the places of wavelengths, in pixels from the centre of the first one, (n, k)."""
        reference = self.ranges.reference_nm
        if self.ranges.disperser == "grating":
            return self.middle_px + (nm - reference) / self.nm_per_px
        reach_px = reference / (2.0 * self.nm_per_px)
        return self.middle_px + reach_px * (1.0 - (reference / nm).square())


class SpectrumSampler:
    """Training spectra, drawn anew at every call.

    Parameters
    ----------
    ranges
        What to draw from.
    device
        Where they are made.
    dyes
        Spectra in place of those that `ranges.names` names.
    """

    def __init__(
        self,
        ranges: SpectrumRanges,
        device: torch.device,
        dyes: tuple[Spectrum, ...] | None = None,
    ) -> None:
        self.ranges = ranges
        dyes = dyes or tuple(DYES[name] for name in ranges.names)
        first = min(dye.wavelength_nm[0] for dye in dyes)
        last = max(dye.wavelength_nm[-1] for dye in dyes)
        nm = np.arange(first, last + STEP_NM, STEP_NM)
        light = np.stack([dye.at(nm) for dye in dyes])
        light /= light.sum(axis=1, keepdims=True)
        self._nm = torch.from_numpy(nm.astype(np.float32)).to(device)
        self._light = torch.from_numpy(light.astype(np.float32)).to(device)
        self._samples_nm = torch.linspace(*ranges.wavelengths_nm, ranges.samples, device=device)
        narrow = torch.tensor([[ranges.nm_per_px[0]]], device=device)
        line = _Line(ranges, narrow, torch.zeros((1, 1), device=device))
        ends = line.place_px(torch.tensor([list(ranges.wavelengths_nm)], device=device))[0]
        self._before_px = math.ceil(-float(ends[0])) + MARGIN_PX
        self._width_px = self._before_px + math.ceil(float(ends[1])) + MARGIN_PX

    @torch.no_grad()
    def __call__(self, n: int, generator: torch.Generator, crowding: float = 1.0) -> DyeSpectra:
        """Return n spectra; the crowding is without effect."""
        del crowding
        ranges, draw = self.ranges, Draw(n, generator)
        dye = torch.randint(len(self._light), (n,), generator=generator, device=generator.device)
        light, background = draw.log_uniform(ranges.photons), draw.log_uniform(ranges.background)
        nm_per_px, sigma_px = draw.uniform(ranges.nm_per_px, 1), draw.uniform(ranges.sigma_px, 1)
        middle_px = self._before_px + draw.uniform((-0.5, 0.5), 1)
        line = _Line(ranges, nm_per_px, middle_px)
        y_px = draw.uniform((-0.5, 0.5), 1)
        mean = light[:, None, None] * self._image(draw, line, dye, sigma_px, y_px)
        mean = mean + self._beside(draw, line, sigma_px, light)
        side = torch.linspace(-1.0, 1.0, self._width_px, device=draw.device)
        ramp = 1.0 + draw.uniform((-ranges.slope, ranges.slope), 1, 1) * side
        mean = mean + background[:, None, None] * ramp
        read_e = draw.log_uniform(ranges.read_noise_e, 1, 1)
        pixels = poisson(mean, draw) + read_e * draw.normal(*mean.shape[1:])
        known = _Line(ranges, nm_per_px, middle_px + ranges.place_error_px * draw.normal(1))
        spectra = _between_pixels(pixels, known.place_px(self._samples_nm[None]))
        return DyeSpectra(spectra[:, None], dye, light, background, nm_per_px[:, 0])

    def _image(
        self, draw: Draw, line: _Line, dye: Tensor, sigma_px: Tensor, y_px: Tensor
    ) -> Tensor:
        """Return the image of one photon of each molecule, (n, rows, width)."""
        nm = self._nm[None] + self.ranges.shift_nm * draw.normal(1)
        along = _shares(line.place_px(nm), sigma_px, self._width_px)
        columns = torch.einsum("nk,nkx->nx", self._light[dye], along)
        rows = _shares(y_px + self.ranges.rows // 2, sigma_px, self.ranges.rows)[:, 0]
        return rows[:, :, None] * columns[:, None, :]

    def _beside(self, draw: Draw, line: _Line, sigma_px: Tensor, light: Tensor) -> Tensor:
        """Return the light of another molecule whose spectrum lies across, where there is one."""
        ranges, n = self.ranges, draw.n
        dye = torch.randint(len(self._light), (n,), generator=draw.generator, device=draw.device)
        along_px = self._width_px / 2.0 * draw.uniform((-1.0, 1.0), 1)
        moved = _Line(ranges, line.nm_per_px, line.middle_px + along_px)
        y_px = draw.uniform((1.5, ranges.rows / 2 + 2.0), 1)
        y_px = torch.where(draw.chance(0.5, 1), y_px, -y_px)
        share = draw.uniform((0.3, 1.0)) * light * draw.chance(ranges.neighbour_fraction)
        return share[:, None, None] * self._image(draw, moved, dye, sigma_px, y_px)


def _shares(place_px: Tensor, sigma_px: Tensor, width_px: int) -> Tensor:
    """Return the share of a Gaussian in each pixel of a line, (n, k, width)."""
    edges = torch.arange(width_px + 1, device=place_px.device) - 0.5
    scaled = (edges - place_px[..., None]) / (math.sqrt(2.0) * sigma_px[..., None])
    return 0.5 * torch.erf(scaled).diff(dim=-1)


def _between_pixels(pixels: Tensor, place_px: Tensor) -> Tensor:
    """Return the light per pixel at places between them, (n, rows, samples)."""
    rows, width = pixels.shape[1:]
    place_px = place_px.clamp(0.0, width - 1.001)
    low = place_px.floor()
    part = (place_px - low)[:, None]
    at = low.long()[:, None].expand(-1, rows, -1)
    return (1.0 - part) * pixels.gather(2, at) + part * pixels.gather(2, at + 1)
