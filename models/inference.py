"""The network in torch as a localizer: the reference that all engines are compared with."""

from __future__ import annotations

import numpy as np
import torch

from rtsmlm.calibration import CameraCalibration
from rtsmlm.decode import DecodeSettings, decode
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.inputs import PsfInput, context_of, pad_frames, padded_maps
from rtsmlm.models.network import FlagshipNetwork, stabilize
from rtsmlm.protocols import ALL

FRAMES_AT_ONCE = 32


class TorchLocalizer:
    """The network on torch, as a `rtsmlm.protocols.Localizer`.

    Parameters
    ----------
    network
        With its weights.
    calibration
        Camera calibration.
    psf
        What the network is told of the PSF, see `rtsmlm.models.inputs`.
    settings
        Thresholds and calibration of the decoding; not given takes the defaults.
    temporal
        Whether neighbouring frames are looked at.
    """

    context_frames = 1
    uses_all_cores = True

    def __init__(
        self,
        network: FlagshipNetwork,
        *,
        calibration: CameraCalibration,
        psf: PsfInput,
        settings: DecodeSettings | None = None,
        temporal: bool = True,
    ) -> None:
        self._network = network.eval()
        self._calibration = calibration
        self._settings = settings or DecodeSettings()
        self._temporal = temporal
        self._depth = psf.depth
        self._condition = torch.from_numpy(psf.condition)

    @property
    def name(self) -> str:
        """What it is."""
        return "flagship, torch"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Run one dark frame."""
        self(FrameBatch.from_pixels(np.full((1, *shape), 100, dtype=np.uint16)))

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames of a batch, ordered by frame."""
        return decode(
            self.maps(batch)[targets],
            batch.index[targets],
            shape=batch.shape,
            pixel_nm=self._calibration.pixel_nm,
            excess_noise=self._calibration.excess_noise,
            depth=self._depth,
            settings=self._settings,
        )

    @torch.no_grad()
    def maps(self, batch: FrameBatch) -> F32:
        """Return the raw maps of a batch, (n, channels, height / 2, width / 2)."""
        offset, gain, variance = padded_maps(self._calibration, batch.shape)
        context = context_of(batch.index) * np.float32(self._temporal)
        photons = (pad_frames(batch.pixels).astype(np.float32) - offset) * gain
        frames = np.concatenate([photons[:1], photons, photons[-1:]])
        parts = []
        for start in range(0, len(batch), FRAMES_AT_ONCE):
            n = min(FRAMES_AT_ONCE, len(batch) - start)
            triples = np.stack([frames[start + i : start + i + n] for i in range(3)], axis=1)
            planes = stabilize(
                torch.from_numpy(triples),
                torch.from_numpy(variance)[None, None],
                torch.from_numpy(context[start : start + n]),
            )
            parts.append(self._network(planes, self._condition).numpy())
        return np.concatenate(parts)
