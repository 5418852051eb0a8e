"""The twelve systems of the review, each with its claim, and what this benchmark has beside it.

The review is Hyun & Kim, IJMS 23, 6896 (2022), Table 1. Under `claim` stands what it or the
paper of the system reports, under `why` what our model does otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rtsmlm.bench.accuracy.figures import JACCARD, RMSE
from rtsmlm.bench.models import box_figures as box
from rtsmlm.bench.models import class_figures as named
from rtsmlm.bench.models.box_sets import ABERRATED, BOXES, LENS
from rtsmlm.bench.models.class_sets import CLASSES
from rtsmlm.bench.models.image_figures import CORRELATION
from rtsmlm.bench.models.image_sets import IMAGES
from rtsmlm.bench.models.list_figures import GAIN, MS_SSIM, OF_INPUT
from rtsmlm.bench.models.list_sets import CROSSED_AT, CROSSTALK, LISTS, STRUCTURES, with_widefield
from rtsmlm.bench.models.results import Results, text
from rtsmlm.bench.models.row_figures import AXIAL_RMSE, EFFICIENCY_3D
from rtsmlm.bench.models.row_sets import DEPTH, OWN, RECORDED
from rtsmlm.bench.models.speed import SPOTS, frames_at
from rtsmlm.bench.models.summaries import of_backgrounds, of_colours

Ours = Callable[[Results, str], str]
"""Results and the name of a model to what was measured, in a few words."""
NOT_YET = "not in rtsmlm yet"
CHALLENGE = f"{RECORDED}SMLM-2016"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system of the review."""

    name: str
    does: str
    claim: str
    architecture: str = ""
    """Of our models of it; empty where there are none yet."""
    ours: Ours | None = None
    why: str = ""
    """Why ours differs from the claim."""


def models_of(system: System, results: Results) -> list[str]:
    """Return the names of the measured models of a system."""
    return [m.name for m in results.models if system.architecture == m.architecture != ""]


def _decode(results: Results, model: str) -> str:
    def at(name: str, density: str) -> str:
        jaccard, lateral, axial = (
            results.figure(name, DEPTH, density, figure) for figure in (JACCARD, RMSE, AXIAL_RMSE)
        )
        return f"Jaccard {text(jaccard)}, errors {text(lateral)} and {text(axial)} nm"

    score = results.figure(model, DEPTH, CHALLENGE, EFFICIENCY_3D)
    fit = results.figure("astigmatic-mle", DEPTH, CHALLENGE, EFFICIENCY_3D)
    sentence = (
        f"Astigmatic, 1 per µm²: {at(model, '1 per')}; `astigmatic-mle` there: "
        f"{at('astigmatic-mle', '1 per')}."
    )
    if not math.isnan(score):
        sentence += f" 24 frames of the challenge: efficiency {text(score)}, the fit {text(fit)}."
    return sentence


def _deepstorm(results: Results, model: str) -> str:
    def at(density: str) -> str:
        likeness, jaccard = (
            results.figure(model, IMAGES, f"filaments, {density} per", figure)
            for figure in (CORRELATION, JACCARD)
        )
        return f"{density} per µm²: correlation {text(likeness, 2)}, Jaccard {text(jaccard, 2)}"

    rows = results.figure("flagship-2d", IMAGES, "filaments, 6 per", CORRELATION)
    rate = results.speed(model, frames_at(256))
    return (
        f"{at('1')}; {at('6')} (the image of `flagship-2d`: correlation {text(rows, 2)}). "
        f"{text(rate)} frames/s at 256 x 256 on this CPU."
    )


def _deeploco(results: Results, model: str) -> str:
    rate = results.speed(model, frames_at(64))
    seconds = 20_000 / rate if rate > 0 else math.nan
    jaccard = results.figure(model, OWN, f"{model}: sparse", JACCARD)
    lateral = results.figure(model, OWN, f"{model}: sparse", RMSE)
    return (
        f"20 000 frames of 64 x 64 in {text(seconds)} s on this CPU; sparse emitters: Jaccard "
        f"{text(jaccard)}, error {text(lateral)} nm."
    )


def _on_boxes(results: Results, model: str, kind: str, figure: str) -> str:
    return text(results.figure(model, BOXES, f"{model}: {kind}", figure))


def _zelger(results: Results, model: str) -> str:
    bound = [_on_boxes(results, model, LENS, f + box.BOUND) for f in (box.LATERAL, box.AXIAL)]
    fit = [
        text(results.figure("astigmatic-mle", BOXES, f"{model}: {LENS}", f + box.BOUND))
        for f in (box.LATERAL, box.AXIAL)
    ]
    return (
        f"{text(results.speed(model, SPOTS))} spots/s on this CPU; errors over the bound, "
        f"lateral and axial: {bound[0]} and {bound[1]}, the fit {fit[0]} and {fit[1]}."
    )


def _smnet(results: Results, model: str) -> str:
    turn = results.figure(model, BOXES, f"{model}: {LENS}", box.TURN)
    kind = LENS if not math.isnan(turn) else ABERRATED
    lateral, axial, modes = (
        _on_boxes(results, model, kind, f + box.BOUND)
        for f in (box.LATERAL, box.AXIAL, box.ZERNIKES)
    )
    sentence = f"Errors over the bound: lateral {lateral}, axial {axial}"
    if not math.isnan(turn):
        return f"{sentence}; orientation within {text(turn)} degrees (median)."
    return f"{sentence}, Zernike amplitudes {modes}."


def _deepstorm3d(results: Results, model: str) -> str:
    def at(kind: str) -> str:
        jaccard, lateral, axial = (
            results.figure(model, OWN, f"{model}: {kind}", figure)
            for figure in (JACCARD, RMSE, AXIAL_RMSE)
        )
        return f"Jaccard {text(jaccard)}, errors {text(lateral)} and {text(axial)} nm"

    rate = results.speed(model, frames_at(256))
    return (
        f"Over its depths, sparse: {at('sparse')}; ten in 121 x 121 pixels: {at('dense')}. "
        f"{text(rate)} frames/s at 256 x 256 on this CPU."
    )


def _kim(results: Results, model: str) -> str:
    def at(photons: int, figure: str) -> str:
        return text(results.figure(model, CLASSES, f"{model}: {photons} photons", figure))

    return (
        f"Right dye: {at(1000, named.RIGHT)}, {at(4000, named.RIGHT)} and "
        f"{at(10000, named.RIGHT)} % at 1000, 4000 and 10,000 photons, where these allow "
        f"{at(1000, named.ALLOWED)}, {at(4000, named.ALLOWED)} and {at(10000, named.ALLOWED)} %; "
        f"depth at 4000 photons: {at(4000, named.DEPTH)} nm, the bound "
        f"{at(4000, named.DEPTH_BOUND)} nm."
    )


def _zhang(results: Results, model: str) -> str:
    def at(kind: str, figure: str) -> str:
        return text(results.figure(model, CLASSES, f"{model}: {kind}, 1000 photons", figure), 2)

    def both(kind: str, figure: str) -> str:
        return f"{at(kind, figure)} % ({at(kind, figure + named.CENTROID)} %)"

    pair = "first 2 dyes"
    return (
        f"At 1000 photons, in brackets the centroid: of two dyes, wrong among the surest 90 %: "
        f"{both(pair, named.WRONG_SURE)}, used with 1 % wrong: {both(pair, named.USE)}; of three "
        f"dyes {both('all dyes', named.WRONG_SURE)} and {both('all dyes', named.USE)}."
    )


def _likeness(results: Results, model: str, condition: str) -> str:
    """Return the likeness of an answer, and of what it was made of."""
    figures = (MS_SSIM, MS_SSIM + OF_INPUT)
    answer, given = (text(results.figure(model, LISTS, condition, f), 2) for f in figures)
    return f"{answer} (the localizations: {given})"


def _annapalm(results: Results, model: str) -> str:
    at = [
        f"{_likeness(results, model, f'filaments, {fewer} x fewer')} from {fewer} times fewer"
        for fewer in (10, 30, 100)
    ]
    helped = _likeness(results, model, with_widefield("filaments"))
    return f"Filaments, MS-SSIM: {', '.join(at)} frames; there with a widefield image: {helped}."


def _gaire(results: Results, model: str) -> str:
    known = {score.condition for score in results.scores if score.model == model}
    at = {name: f"{name}, {CROSSED_AT} x fewer" for name in STRUCTURES}
    structure, plain = next((pair for pair in at.items() if pair[1] in known), ("", ""))
    crossed = f"{plain}, {CROSSTALK:.0%} cross-talk"
    gains = [text(results.figure(model, LISTS, c, GAIN), 2) for c in (plain, crossed)]
    return (
        f"{structure}, {CROSSED_AT} times fewer frames: {gains[0]} dB less error than the "
        f"localizations, {gains[1]} dB with cross-talk of {CROSSTALK:.0%}; MS-SSIM "
        f"{_likeness(results, model, plain)}."
    )


SYSTEMS: tuple[System, ...] = (
    System(
        name="DECODE",
        does="frames to rows, 3D, dense, from three frames",
        claim="first on 12 of the 12 data sets of the SMLM-2016 challenge",
        architecture="decode",
        ours=_decode,
        why="a narrower network, trained for minutes on one CPU core, not for a day on a GPU; the "
        "ranking needs the data of the challenge, whose site is down: 24 of its frames are at hand",
    ),
    System(
        name="Deep-STORM",
        does="frames to an image, without a list",
        claim="up to 6 emitters per µm²; 1000 to 10 000 times as fast as solvers of its time",
        architecture="deepstorm",
        ours=_deepstorm,
        why="narrower layers, and a grid four times as fine as the camera's, not eight, for a live "
        "stream on a CPU; there was no multi-emitter solver to compare the speed with",
    ),
    System(
        name="DeepLOCO",
        does="frames of 64 x 64 to a set of rows, 3D",
        claim="20 000 frames in about 1 s on a GPU",
        architecture="deeploco",
        ours=_deeploco,
        why="narrower layers, trained for minutes on one CPU core; our time is that of two CPU "
        "cores shared with other work, not of a GPU",
    ),
    System(
        name="Zelger et al.",
        does="box to parameters, with Zernike amplitudes",
        claim="22 000 spots/s, near the precision of the fit",
        architecture="zelger",
        ours=_zelger,
        why="the paper's layers were not published: ours are a stand-in of a usual kind, which "
        "allows for aberrations that the fit does not know; our speed is that of two CPU cores "
        "shared with other work",
    ),
    System(
        name="smNet",
        does="box to position, orientation, aberrations",
        claim="position in 3D, orientation and aberrations, close to the bound",
        architecture="smnet",
        ours=_smnet,
        why="one reduced network for all quantities, and one for dipoles that do not turn, trained "
        "for minutes on one CPU core; the paper trains a large one for each quantity",
    ),
    System(
        name="DeepSTORM3D",
        does="frames to rows over 4 µm, learned phase mask",
        claim="dense emitters over 4 µm of depth",
        architecture="deepstorm3d",
        ours=_deepstorm3d,
        why="a narrower network, trained for minutes on one CPU core; the paper's takes 30 hours "
        "on a GPU. Both are made for one PSF, here a tetrapod",
    ),
    System(
        name="ANNA-PALM",
        does="image of few localizations to the whole image",
        claim="up to 100 times fewer frames",
        architecture="annapalm",
        ours=_annapalm,
        why="narrower layers and six levels, not eight, trained for minutes on simulated "
        "structures; the paper trains on long recordings of the structure, for days on a GPU",
    ),
    System(
        name="Gaire et al.",
        does="the same for spectral channels",
        claim="up to 8 times fewer frames, less cross-talk",
        architecture="gaire",
        ours=_gaire,
        why="the paper's layers were not at hand: ours are residual layers of one size, trained "
        "for minutes on simulated structures, a network for each",
    ),
    System(
        name="BGnet",
        does="box to its background",
        claim="better precision on structured background, for every PSF",
        architecture="bgnet",
        ours=of_backgrounds,
        why="a narrower network in boxes of 11 pixels, trained for minutes on one CPU core, for "
        "round spots of any usual width; its recipe trains it for another PSF",
    ),
    System(
        name="Kim, Moon & Xu",
        does="box to colour and depth, unmodified PSF",
        claim="colour and depth without changes to the microscope",
        architecture="kim",
        ours=_kim,
        why="smaller layers, and dyes with computed PSFs: the paper trains on measured spots of "
        "one microscope, in which aberrations tell colours apart as well",
    ),
    System(
        name="Hershko et al.",
        does="colour from the PSF, learned phase mask",
        claim="two colours in one grey image",
        architecture="hershko",
        ours=of_colours,
        why="the paper's layers were not published: a stand-in of fewer channels, with a mask of "
        "Zernike modes, learned for minutes on one CPU core and for simulated dyes alone",
    ),
    System(
        name="Zhang et al.",
        does="spectrum to dye",
        claim="twice the molecules used, 10 times fewer mistaken",
        architecture="zhang",
        ours=_zhang,
        why="simulated spectra of dyes by one dispersion; how far molecules of one dye differ is "
        "assumed (2 nm), and of the centroid method the window is chosen that suits it best",
    ),
)
