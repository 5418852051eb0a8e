"""The flagship learns from frames without truth: what it finds must draw them again.

The convolutions stay as they are; what is learned is what the PSF does to them (`condition`), the
last layer, and the PSF with which frames are drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.flagship.network import FlagshipNetwork, stabilize
from rtsmlm.models.flagship.rerendering import LearnedPsf, misfit
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.psf_condition import REFERENCE_SIGMA_PX

LEARNED = ("condition_first.", "condition_second.", "out.")
CROP_PX = 64
BATCH = 12
PSF_RATE, WEIGHT_RATE = 0.02, 3e-4
CLIP = 1.0
PSF_STEPS = 15
"""Steps of the PSF alone at each measurement of its width."""
MEASUREMENTS = 6
SETTLED = 0.01
"""Relative change of the width below which it is known."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of a movie in photons."""

    photons: Tensor
    """Previous, target and next frame of each window, (n, 3, height, width)."""
    read_variance: Tensor
    """In photons², (1, height, width)."""

    def crops(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return n crops of windows (n, 3, side, side), and their read variance (n, side, side).

        Places are multiples of eight pixels, as the light level counts in blocks of eight.
        """
        total, _, height, width = self.photons.shape
        side_y, side_x = (min(CROP_PX, side // BLOCK_PX * BLOCK_PX) for side in (height, width))

        def draw(end: int, step: int) -> list[int]:
            steps = torch.randint(end // step + 1, (n,), generator=generator)
            return [int(k) * step for k in steps]

        windows = draw(total - 1, 1)
        rows, columns = draw(height - side_y, BLOCK_PX), draw(width - side_x, BLOCK_PX)
        photons, variance = [], []
        for k, y, x in zip(windows, rows, columns, strict=True):
            region = (slice(y, y + side_y), slice(x, x + side_x))
            photons.append(self.photons[k][:, *region])
            variance.append(self.read_variance[0][region])
        return torch.stack(photons), torch.stack(variance)


class SelfSupervision:
    """A network of the flagship and its PSF, learned together from frames.

    Parameters
    ----------
    network
        For round PSFs; its weights change.
    frames
        What it learns from.
    sigma_px
        Width of the PSF from which it starts.
    seed
        Of the crops.
    """

    def __init__(
        self, network: FlagshipNetwork, frames: Frames, sigma_px: float, seed: int = 1
    ) -> None:
        self.network, self.psf = network.eval(), LearnedPsf(sigma_px)
        self._frames = frames
        self._generator = torch.Generator().manual_seed(seed)
        self._condition_px = sigma_px
        for name, value in network.named_parameters():
            value.requires_grad_(name.startswith(LEARNED))
        learned = [value for value in network.parameters() if value.requires_grad]
        self._learned = learned
        self._of_psf = torch.optim.Adam(self.psf.parameters(), lr=PSF_RATE)
        self._of_network = torch.optim.Adam(learned, lr=WEIGHT_RATE, betas=(0.9, 0.99))

    @property
    def sigma_px(self) -> float:
        """Width of the PSF that the network is given."""
        return self._condition_px

    def measure_psf(self) -> Iterator[float]:
        """Fit the PSF to the frames with the network as it is, and give the network its width.

        Yields the width in pixels after each measurement, until it settles.
        """
        for _ in range(MEASUREMENTS):
            for _ in range(PSF_STEPS):
                photons, variance = self._frames.crops(BATCH, self._generator)
                with torch.no_grad():
                    maps = self._maps(photons, variance)
                self._descend(photons, variance, maps, self._of_psf)
            before, self._condition_px = self._condition_px, self.psf.sigma_px()
            yield self._condition_px
            if abs(self._condition_px / before - 1.0) < SETTLED:
                return

    def step(self, n: int) -> float:
        """Take n steps of network and PSF together; return the mean misfit per pixel."""
        total = 0.0
        for _ in range(n):
            photons, variance = self._frames.crops(BATCH, self._generator)
            maps = self._maps(photons, variance)
            total += self._descend(photons, variance, maps, self._of_psf, self._of_network) / n
        self._condition_px = self.psf.sigma_px()
        return total

    @torch.no_grad()
    def held_out(self, frames: Frames, n: int = 48) -> float:
        """Return the misfit per pixel of frames that are not learned from."""
        photons, variance = frames.crops(n, torch.Generator().manual_seed(977))
        maps = self._maps(photons, variance)
        return float(misfit(photons[:, 1], variance, maps, self.psf))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], float]:
        """Return all that is learned, as a copy."""
        parts = (self.network.state_dict(), self.psf.state_dict())
        network, psf = (copy.deepcopy(part) for part in parts)
        return network, psf, self._condition_px

    def restore(self, state: tuple[dict[str, Tensor], dict[str, Tensor], float]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state[0])
        self.psf.load_state_dict(state[1])
        self._condition_px = state[2]

    def _maps(self, photons: Tensor, variance: Tensor) -> Tensor:
        context = torch.ones(len(photons), 2)
        planes = stabilize(photons, variance[:, None], context)
        width = torch.tensor([[self._condition_px / REFERENCE_SIGMA_PX, 1.0]])
        condition = torch.cat([width[:, :1].log(), width[:, 1:]], dim=1)
        planes = planes.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.network(planes, condition)
        return maps

    def _descend(
        self, photons: Tensor, variance: Tensor, maps: Tensor, *optimizers: torch.optim.Optimizer
    ) -> float:
        loss = misfit(photons[:, 1], variance, maps, self.psf)
        for each in (self._of_psf, self._of_network):
            each.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._learned, CLIP)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())
