"""RoutedLocalizer: a fit first, and a network where the fit cannot tell: docs/decisions/0041."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.crowds import Cover
from rtsmlm.engines.evidence import LEAST_PROBABILITY, judged
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.refine import Refiner
from rtsmlm.engines.runtime import Runtime
from rtsmlm.engines.warm_up_frames import warm_up_frames
from rtsmlm.engines.window_network import SIZE, WindowNetwork
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.detection import Candidates, joined
from rtsmlm.fitting.fit_first import ASKED, FirstFits, FitFirst
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import F32, FROM_NETWORK, Localizations
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.inputs import KNOW_MASKS, context_of, pad_frames, padded_maps
from rtsmlm.models.rows import Row, in_units, is_sure
from rtsmlm.models.windows import looks_at_windows
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf
from rtsmlm.protocols import ALL

if TYPE_CHECKING:
    from rtsmlm.engines.openvino import OpenVinoRuntime

MOST_COVERED = 0.4
"""Share of a frame in windows, on what is not lone, from which the network looks at all of it: with
the windows on single spots that misfit it would cost more."""
_FIT_ADDS = np.array([[0.0, 0.0010, 0.0020, 0.0032, 0.0053], [0.953, 0.955, 0.958, 0.974, 1.0]])
"""Factor on how many emitters there truly are for one that the network finds in whole frames, at
the densities of `NETWORK_RECALL`: measured on movies like its, 500 and 1500 photons."""
ALIKE_FRAMES = 8
"""Frames of a backlog, by their numbers, of which the first is looked at before the others."""
CLEARLY = 0.8
"""Where the first of them comes so near to the limit, all of them are taken for crowded."""


class RoutedLocalizer:
    """A network on the CPU that is asked where a fit cannot tell, as a `Localizer`.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    whole
        The same network as a localizer of whole frames, for frames that are crowded all over.
    runtime
        What both run on.
    calibration
        Camera calibration; maps must have the shape of the frames.
    first
        The fit.
    refiner
        Fits lone emitters once more that the network has found.
    """

    uses_all_cores = True

    def __init__(
        self,
        model: NetworkModel,
        whole: NetworkLocalizer,
        runtime: OpenVinoRuntime,
        *,
        calibration: CameraCalibration,
        first: FitFirst,
        refiner: Refiner,
    ) -> None:
        self._model, self._whole, self._runtime = model, whole, runtime
        self._min_probability = model.decode.min_probability
        least = min(self._min_probability, LEAST_PROBABILITY)
        lowest = replace(model.decode, min_probability=least)
        self._undoubted = replace(model.decode, vague_snr=0.0)
        self._windows = WindowNetwork(replace(model, decode=lowest), runtime)
        self._calibration, self._first, self._refiner = calibration, first, refiner
        self.neighbours, self.max_local_per_um2 = whole.neighbours, whole.max_local_per_um2
        found, truly = whole.recall
        self.recall = np.stack([found, truly * np.interp(found, *_FIT_ADDS)])
        self._blocks = (model.manifest.block_px, model.manifest.overlap_px)
        self.takes_wobble_off = refiner.takes_wobble_off
        self._shape: tuple[int, int] | None = None
        self._padded = (0, 0)
        self._has_room = True

    @property
    def name(self) -> str:
        """Model, engine and precision, and that a fit goes first."""
        return f"{self._whole.name}, after a fit of lone emitters"

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Compile the fit, the network and the decoding for frames of this shape."""
        self._prepare(shape)
        self._whole.warm_up(shape)
        if not self._has_room:
            return
        self._first.warm_up(shape)
        n = 2 * self._runtime.lanes
        frames = warm_up_frames(shape, n, self._first.sigma_px, self._calibration)
        self(frames)
        self(frames.frames(0, 1))

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        """Return the localizations of the target frames, by frame, then from top to bottom.

        Raises
        ------
        CalibrationError
            If the camera maps do not fit the frames.
        LocalizerError
            If the frames are not uint16 or the runtime fails.
        """
        if batch.pixels.dtype != np.uint16:
            raise LocalizerError(f"frames are {batch.pixels.dtype}; {self.name} takes uint16")
        if batch.shape != self._shape:
            self._prepare(batch.shape)
        start, stop, _ = targets.indices(len(batch))
        if start >= stop:
            return Localizations.empty()
        if not self._has_room:
            return _marked(self._whole(batch, targets), 1.0)
        pixels = _for_compiled(batch.pixels)
        padded = _for_compiled(pad_frames(pixels, *self._blocks))
        context = context_of(batch.index, self.neighbours)
        lanes = min(self._runtime.lanes, stop - start)
        edges = np.linspace(start, stop, lanes + 1).astype(int).tolist()
        shares = [slice(a, b) for a, b in pairwise(edges)]

        def localize(share: slice) -> tuple[list[Localizations], NDArray[np.bool_]]:
            free = self._runtime.lanes // lanes
            return self._localize(batch, pixels, padded, context, share, free)

        if lanes == 1:
            done = [localize(shares[0])]
        else:
            with ThreadPoolExecutor(lanes, thread_name_prefix="rtsmlm-routing") as pool:
                done = list(pool.map(localize, shares))
        parts = [part for parts, _ in done for part in parts]
        crowded = np.concatenate([is_crowded for _, is_crowded in done])
        parts += self._in_whole_frames(batch, start, crowded)
        found = Localizations.concatenate(parts)
        return found.take(np.lexsort((found.y_nm, found.frame)))

    def _localize(
        self,
        batch: FrameBatch,
        pixels: Pixels,
        padded: Pixels,
        context: F32,
        share: slice,
        lanes: int,
    ) -> tuple[list[Localizations], NDArray[np.bool_]]:
        """Return the rows of frames, and which of them the network has to see whole."""
        fits, cover, crowded = self._route(pixels[share], numbers := batch.index[share])
        rows, owner = self._windows.rows(padded, context, cover.begun_at(share.start), lanes=lanes)
        frame, near_px = cover.windows[owner, 0], 0.5 * self._first.reach_px
        least, sigma_px = self._min_probability, self._first.sigma_px
        fits, confirmed = judged(fits, rows, frame, sigma_px, near_px, least)
        frames = batch.frames(share.start, share.stop)
        doubted = fits.is_doubted[fits.is_settled]
        settled = self._refiner.split(self._first.table(fits, numbers), frames, doubted)
        parts = [_marked(settled, 0.0)]
        if len(cover.windows):
            others = fits.places(fits.is_settled | fits.is_faint)
            meant = cover.are_meant(rows, owner, others, near_px)
            meant &= rows[:, Row.PROBABILITY] > least
            meant &= is_sure(rows, self._model.decode, frame) | (confirmed > 0.0)
            rows[:, Row.PROBABILITY] = np.maximum(rows[:, Row.PROBABILITY], confirmed)
            answered = self._table(rows[meant], numbers[frame[meant]])
            merged = Localizations.concatenate([settled, answered])
            new = np.arange(len(settled), len(merged))
            refined = self._refiner(merged, frames, new, context[share])
            # Those that were one row for two emitters have one more behind all others.
            parts.append(_marked(refined.take(np.arange(len(settled), len(refined))), 1.0))
            alone = self._first.unanswered(fits, answered, numbers)
            parts.append(_marked(self._refiner.split(alone, frames), 0.0))
        return parts, crowded

    def shares(self, batch: FrameBatch) -> tuple[float, float]:
        """Return what share of frames the network sees whole, and in windows, of the area of all.

        A window counts with its surroundings, and where two of them overlap twice: as it costs.
        """
        if batch.shape != self._shape:
            self._prepare(batch.shape)
        if not self._has_room:
            return 1.0, 0.0
        _, cover, crowded = self._route(_for_compiled(batch.pixels), batch.index)
        height, width = self._padded
        in_windows = len(cover.windows) * SIZE.side_px**2 / (len(batch) * height * width)
        return float(crowded.mean()), in_windows

    def _route(
        self, pixels: Pixels, numbers: NDArray[np.int64]
    ) -> tuple[FirstFits, Cover, NDArray[np.bool_]]:
        """Return the fits that stand, windows on the rest, and which frames are seen whole."""
        found, crowded = self._look(pixels, numbers)
        fits = self._first.settle(pixels, found, self._first.are_lone(found))
        asked = found.part(fits.is_asked)
        cover = Cover(asked.frame, asked.start_y, asked.start_x, SIZE, self._padded)
        return fits, cover, crowded

    def _look(
        self, pixels: Pixels, numbers: NDArray[np.int64]
    ) -> tuple[Candidates, NDArray[np.bool_]]:
        """Return the maxima of frames that are not crowded all over, and which frames are."""
        crowded = np.zeros(len(pixels), dtype=np.bool_)
        parts = []
        for _, group in groupby(range(len(pixels)), key=lambda k: int(numbers[k]) // ALIKE_FRAMES):
            frames = list(group)
            first, others = frames[0], slice(frames[0] + 1, frames[-1] + 1)
            found = self._first.look(pixels[first : first + 1])
            share = float(self._crowded_shares(found, 1)[0])
            if share > CLEARLY * MOST_COVERED:
                crowded[frames] = True
                continue
            found.frame[:] = first
            parts.append(found)
            if len(frames) == 1:
                continue
            found = self._first.look(pixels[others])
            if share > MOST_COVERED / 2:
                crowded[others] = self._crowded_shares(found, len(frames) - 1) > MOST_COVERED
                found = found.part(~crowded[others][found.frame])
            found.frame[:] += others.start
            parts.append(found)
        return joined(parts), crowded

    def _crowded_shares(self, found: Candidates, n_frames: int) -> NDArray[np.float64]:
        """Return the share of each frame that windows on what is not lone would cover."""
        asked = found.part(~self._first.are_lone(found) & (found.strength >= ASKED))
        cover = Cover(asked.frame, asked.start_y, asked.start_x, SIZE, self._padded)
        covered = np.bincount(cover.windows[:, 0], minlength=n_frames) * SIZE.side_px**2
        return np.asarray(covered / (self._padded[0] * self._padded[1]), dtype=np.float64)

    def _table(self, rows: F32, frame: NDArray[np.int64]) -> Localizations:
        """Return rows of windows as localizations."""
        return in_units(
            rows,
            frame,
            pixel_nm=self._calibration.pixel_nm,
            excess_noise=self._calibration.excess_noise,
            depth=self._model.psf.depth,
            settings=self._undoubted,
        )

    def _in_whole_frames(
        self, batch: FrameBatch, start: int, crowded: NDArray[np.bool_]
    ) -> list[Localizations]:
        """Return what the network finds in frames that are crowded all over."""
        parts = []
        for is_crowded, group in groupby(range(len(crowded)), key=lambda k: bool(crowded[k])):
            if is_crowded:
                frames = list(group)
                part = slice(start + frames[0], start + frames[-1] + 1)
                parts.append(_marked(self._whole(batch, part), 1.0))
        return parts

    def _prepare(self, shape: tuple[int, int]) -> None:
        knows_masks = self._model.manifest.architecture in KNOW_MASKS
        maps = padded_maps(self._calibration, shape, *self._blocks, knows_masks=knows_masks)
        self._padded = (maps[0].shape[0], maps[0].shape[1])
        self._has_room = min(self._padded) >= SIZE.side_px
        if self._has_room:
            self._windows.prepare(shape, maps)
            self._refiner.prepare(shape)
        self._shape = shape


def after_fit(
    model: NetworkModel,
    whole: NetworkLocalizer,
    runtime: Runtime,
    calibration: CameraCalibration,
    psf: tuple[float, WidthCurves | None, TablePsf | None, float],
    refiner: Refiner,
) -> NetworkLocalizer | RoutedLocalizer:
    """Return a network that is asked where a fit cannot tell, where that can be done.

    A GPU looks at whole frames faster than a CPU fits.

    Parameters
    ----------
    model, whole, runtime, calibration, refiner
        As for `RoutedLocalizer`.
    psf
        Width in nm, curves, table and ellipticity, as for `FitFirst`.
    """
    # A compute node may have torch alone.
    from rtsmlm.engines.openvino import OpenVinoRuntime

    if not looks_at_windows(model.architecture) or not isinstance(runtime, OpenVinoRuntime):
        return whole
    first = FitFirst(calibration, *psf)
    return RoutedLocalizer(
        model, whole, runtime, calibration=calibration, first=first, refiner=refiner
    )


def _for_compiled(pixels: Pixels) -> Pixels:
    """Return frames contiguous and read-only: compiled code tells read-only arrays from others."""
    pixels = np.ascontiguousarray(pixels).view()
    pixels.flags.writeable = False
    return pixels


def _marked(locs: Localizations, from_network: float) -> Localizations:
    column = np.full(len(locs), from_network, dtype=np.float32)
    return Localizations(**locs.columns(), extras={FROM_NETWORK: column})
