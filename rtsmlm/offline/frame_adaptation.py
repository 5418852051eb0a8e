"""FrameAdaptation: the flagship learns the PSF of a movie without truth, until that is no better.

What it finds must draw the frames again (`rtsmlm.models.flagship.self_supervision`); whether it
has become better is judged by the validity meter, which knows nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import tomli_w
import torch

from rtsmlm.analysis.validity import ValidityMeter
from rtsmlm.analysis.validity_excess import excess
from rtsmlm.analysis.validity_verdict import ENOUGH, Verdict
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations
from rtsmlm.models.flagship.decode import decode
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork
from rtsmlm.models.flagship.on_torch import planes_of
from rtsmlm.models.flagship.packaging import write_onnx
from rtsmlm.models.flagship.self_supervision import Frames, SelfSupervision
from rtsmlm.models.half_precision import load_weights
from rtsmlm.models.inputs import context_of, padded_maps
from rtsmlm.models.manifest import ONNX_NAME, WEIGHTS_NAME, Manifest, load_manifest, save_manifest
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.psf_condition import round_psf
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.offline.frame_sample import FrameSample

STEPS, ROUNDS = 40, 12
"""Steps between two verdicts, and most verdicts."""
PATIENCE = 2
"""Verdicts in a row that are no better before it stops."""
BETTER = 0.98
"""A verdict is better if what does not fit has fallen below this part of the best so far."""
LIGHT = (0.95, 1.25)
"""Photons over those that the model finds as it is, beyond which a round does not count: light can
be traded for background or for probability, and the meter fits spots of any light."""
PART = 4
"""Frames of which the validity meter takes a sample at once."""
HELD_OUT = 4
"""Every fourth stretch is not learned from."""
PSF_NAME = "psf.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What was measured after some steps."""

    steps: int
    sigma_nm: float
    """Width of the PSF that the network is given."""
    misfit: float
    """Of frames that are not learned from, per pixel."""
    excess: float
    """What does not fit by the validity meter; see `rtsmlm.analysis.validity_excess`."""
    photons: float
    """In all that is found."""
    verdict: Verdict


class FrameAdaptation:
    """A model that is adapted to a sample of frames.

    Parameters
    ----------
    folder
        Model of the flagship for round PSFs.
    sample
        The frames.

    Raises
    ------
    ConfigError
        If it is another kind of model.
    CalibrationError
        If it was not trained for the PSF width of the frames.
    """

    def __init__(self, folder: Path, sample: FrameSample) -> None:
        self.manifest = load_manifest(folder)
        self._sample = sample
        if self.manifest.architecture != "flagship" or self.manifest.psf != "round":
            raise ConfigError(
                f"{self.manifest.name} cannot learn from frames without truth; flagship-2d and "
                "flagship-2d-fast can, and all others adapt to a calibration (-c, --psf)"
            )
        self.manifest.check_width(
            sample.sigma_nm, sample.calibration, "psf.sigma_nm", "gaussian-mle"
        )
        network = FlagshipNetwork(SIZES[self.manifest.size])
        weights = load_weights(folder)
        network.load_state_dict({name: torch.from_numpy(v) for name, v in weights.items()})
        self._maps = padded_maps(sample.calibration, sample.shape)
        learned, held_out = self._frames()
        self._held_out = held_out
        pixel_nm = sample.calibration.pixel_nm
        self._learner = SelfSupervision(network, learned, sample.sigma_nm / pixel_nm)
        self.rounds: list[Round] = []

    def run(self, stop: Event, report: Callable[[Round], None]) -> Round:
        """Learn until the verdict is no better; return the round that is kept.

        Parameters
        ----------
        stop
            Ends it early.
        report
            Called after every round.

        Raises
        ------
        ConfigError
            If the frames have too few lone spots for a verdict.
        """
        best = self._judge(0, report)
        if best.verdict.spots < ENOUGH:
            raise ConfigError(
                f"the frames give no verdict on the PSF: {best.verdict.spots} lone bright spots "
                f"were found, {ENOUGH} are needed; give a movie with more frames or fewer emitters"
            )
        kept = self._learner.state()
        for _ in self._learner.measure_psf():
            if stop.is_set():
                break
        waited = 0
        for k in range(ROUNDS):
            if k:
                self._learner.step(STEPS)
            found = self._judge(k * STEPS, report)
            if self._is_better(found, best):
                best, kept, waited = found, self._learner.state(), 0
            else:
                waited += 1
            if waited >= PATIENCE or stop.is_set():
                break
        self._learner.restore(kept)
        return best

    def _is_better(self, found: Round, best: Round) -> bool:
        first, measured = self.rounds[:2]
        return (
            found.excess < BETTER * best.excess
            and found.misfit <= measured.misfit
            and LIGHT[0] <= found.photons / first.photons <= LIGHT[1]
        )

    def write(self, folder: Path, *, name: str) -> Manifest:
        """Write the adapted model, and `psf.toml` with the width that it is given.

        Parameters
        ----------
        folder
            The model folder; it is made.
        name
            Of the model.
        """
        folder.mkdir(parents=True, exist_ok=True)
        network, before = self._learner.network, self.manifest
        save_weights(network.state_dict(), folder, half=False)
        for value in network.parameters():
            value.requires_grad_(False)
        write_onnx(network, folder / ONNX_NAME)
        adapted = f"adapted from {before.name} {before.version} to frames without truth"
        manifest = before.model_copy(
            update={
                "name": name,
                "version": f"{before.version}-frames",
                "origin": f"{before.origin}; {adapted}" if before.origin else adapted,
                "accuracy": (),
                "weights": "float32",
                "files": tuple(file_entry(folder / file) for file in (ONNX_NAME, WEIGHTS_NAME)),
            }
        )
        save_manifest(manifest, folder)
        sigma_nm = self._learner.sigma_px * self._sample.calibration.pixel_nm
        text = tomli_w.dumps({"psf": {"sigma_nm": round(sigma_nm, 1)}})
        (folder / PSF_NAME).write_text(text, encoding="utf-8")
        return manifest

    def _frames(self) -> tuple[Frames, Frames]:
        """Return the windows that are learned from and those that are held out, in photons."""
        offset, gain, variance = self._maps
        parts: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for k, batch in enumerate(self._sample.batches):
            photons = torch.from_numpy((batch.pixels.astype(np.float32) - offset) * gain)
            windows = torch.stack([photons[:-2], photons[1:-1], photons[2:]], dim=1)
            is_held_out = k % HELD_OUT == HELD_OUT - 1 and len(self._sample.batches) > 1
            parts[is_held_out].append(windows)
        read_variance = torch.from_numpy(variance)[None]
        learned, held_out = (torch.cat(part or parts[0]) for part in parts)
        return Frames(learned, read_variance), Frames(held_out, read_variance)

    def _judge(self, steps: int, report: Callable[[Round], None]) -> Round:
        calibration = self._sample.calibration
        sigma_nm = self._learner.sigma_px * calibration.pixel_nm
        meter, photons = ValidityMeter(calibration, sigma_nm), 0.0
        for batch in self._sample.batches:
            found = self._localize(batch.pixels, batch.index)
            photons += float(found.photons.sum())
            # In small parts: of each the meter takes sixteen spots.
            for start in range(0, len(batch), PART):
                part = batch.frames(start, start + PART)
                here = (found.frame >= part.index[0]) & (found.frame <= part.index[-1])
                meter.update(found.take(here), part)
        verdict = meter.verdict(waited=True)
        judged = Round(
            steps=steps,
            sigma_nm=sigma_nm,
            misfit=self._learner.held_out(self._held_out),
            excess=excess(verdict),
            photons=photons,
            verdict=verdict,
        )
        self.rounds.append(judged)
        report(judged)
        return judged

    @torch.no_grad()
    def _localize(self, pixels: np.ndarray, index: np.ndarray) -> Localizations:
        """Return what the network finds, without the fit that follows it in a run."""
        calibration = self._sample.calibration
        # Beyond the ends a frame stands in for its neighbour; the context says so.
        ends = np.concatenate([pixels[:1], pixels, pixels[-1:]]).astype(np.int32)
        offset, gain, variance = (torch.from_numpy(m) for m in self._maps)
        context = torch.from_numpy(context_of(index))
        planes = planes_of(torch.from_numpy(ends), offset, gain, variance, context)
        condition = torch.from_numpy(round_psf(self._learner.sigma_px).condition)
        maps = self._learner.network(planes, condition).numpy()
        return decode(
            maps,
            index,
            shape=self._sample.shape,
            pixel_nm=calibration.pixel_nm,
            excess_noise=calibration.excess_noise,
            settings=self.manifest.decode.settings(),
        )
