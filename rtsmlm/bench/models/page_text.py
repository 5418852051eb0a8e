"""The words of docs/models.md."""

from __future__ import annotations

from rtsmlm.bench.models.background_sets import BACKGROUNDS
from rtsmlm.bench.models.box_sets import BOXES
from rtsmlm.bench.models.class_sets import CLASSES
from rtsmlm.bench.models.colour_sets import COLOURS
from rtsmlm.bench.models.image_sets import IMAGES
from rtsmlm.bench.models.list_sets import LISTS
from rtsmlm.bench.models.row_sets import DEPTH, OWN, PLANE

INTRODUCTION = """# Models beside each other

All networks of rtsmlm on common ground, with the classical fits beside them: how much they
find, how far off it is, whether they know it, and how fast they are.

Made by `{command}` with rtsmlm {version} on {processor}, {cores} cores{load}. {data}

- [The twelve systems of the review](#the-twelve-systems-of-the-review): what the papers claim,
  what is measured here, and why the two differ
- [What the figures mean](#what-the-figures-mean)
- Figures: {sections}
- [Enter your model](#enter-your-model)
"""

CHART = """
![Jaccard index and lateral error against density, one line for each model]({chart})

Left: of all emitters and all answers, the part that agree. Right: how far off those are. In the
plane, emitters anywhere; the more of them in a frame, the more spots overlap.
"""

REVIEW = """\
Hyun & Kim, [IJMS 23, 6896 (2022)](https://doi.org/10.3390/ijms23126896), Table 1, list twelve
systems of deep learning for single-molecule localization. Those that rtsmlm has are trained
anew, from the papers' layers and losses, by recipes that [anyone can run](how-to/train.md); no
code and no weights of the originals are in them."""

MEANING_ROWS = (
    (
        "Jaccard index",
        "emitters that were found, over these, those missed and those made up; a pair is at most "
        "250 nm apart, and 500 nm along z. In a crowd there is always one so near: hence the same "
        "within 100 nm",
        "1",
    ),
    (
        "found, right",
        "part of the emitters that were found, and part of the answers that are emitters",
        "100 %",
    ),
    (
        "lateral, axial RMSE",
        "root mean square distance of the pairs: both axes together, and along z",
        "small",
    ),
    (
        "efficiency",
        "both in one number, as the SMLM-2016 challenge has it: 100 - sqrt((100 - Jaccard in %)² + "
        "error²), the error in nm, along z half of it; 3D is the mean of both",
        "100",
    ),
    ("bias", "median error: what does not average out", "0"),
    (
        "CRLB",
        "the Cramér-Rao bound: what photons, background, camera and PSF allow at best; 1.2 x is "
        "20 % above it",
        "1 x",
    ),
    (
        "std of error / stated std",
        "whether a model knows how far off it is: below 1 it is too modest, above 1 too sure. Two "
        "emitters taken for one can spoil it, hence the same from the median deviation, which is "
        "that of the typical emitter",
        "1",
    ),
    (
        "correlation, SSIM, PSNR",
        "likeness of an image to that of the true emitters, both blurred by 25 nm",
        "1, 1, large",
    ),
    (
        "MS-SSIM",
        "structural likeness at five scales of an image of few localizations to that of all",
        "1",
    ),
    ("MAC", "multiplications for a pixel of a frame, or of a box, in thousands (kMAC)", "small"),
)

MEASURED_ALONE = """\
Networks are measured alone here, without the fit of lone emitters that follows them in a run
(`localizer.refine`); [Accuracy](accuracy.md) has both, and other programs. All movies are drawn
by `rtsmlm.physics`, which shares no code with the simulator of the training, from fixed seeds;
frames that have nothing to do with each other are numbered so that no network takes them for
neighbours. **Bold** is best by efficiency.
"""

ABOUT = {
    PLANE: """\
A round PSF of 110 nm, 2000 photons, 20 photons of background per pixel, pixels of 100 nm
(alone: 130 nm). "Drawn anew" are true positions that others have published, with the PSF and
light of their set and other noise; "movie" is their own.""",
    DEPTH: """\
One astigmatic PSF for all: {common}. 5000 photons, 20 photons of background per pixel. The fit
and `flagship-astig` are given the curves of its beads; other networks know the PSF that they
were trained with.{others} The median offset is taken off, as PSFs have no place that all call the
centre. The tubules blink as in the challenge, so that a network which looks at three frames can
use its neighbours; {tubules}.""",
    OWN: """\
Each network with the PSF, depths and light of its own training, unless that PSF is the common
one above. Where it is astigmatic, the fit and `flagship-astig` see the same frames, calibrated on
beads of it; no fit of rtsmlm takes a tetrapod. Sparse and dense are 0.1 and 1 emitters per µm²,
and 0.01 and 0.08 for a PSF over more than 2 µm, whose spots are far larger (0.08 is ten in
121 x 121 pixels).""",
    IMAGES: """\
Frames of 64 x 64 pixels whose emitters lie on filaments, summed to one image; on a filament they
are many times as dense as in the mean. A localizer enters by the image of its rows, a network of
images also by its peaks, above a height that was chosen on another movie.""",
    LISTS: """\
Localizations of labelled structures in a field of 10 x 10 µm, 20 000 frames; a network is given
those of the first frames, with errors, repeats and 3 % that show nothing. What it answers is
compared with the image of all localizations of the structure, both from 0 to 1. Beside it stand
the localizations that it was given, drawn as they are: a network that adds nothing has their
figures. The gain is that of the peak signal-to-noise ratio over theirs. "Spread" is what the
network is unsure of, from halves of the data; where it is right, it follows the error. With
cross-talk a tenth of the localizations of two other structures is among them.""",
    BOXES: """\
One emitter of 2000 photons within the middle pixel, 20 photons of background per pixel, 80 % of
the trained depths. "Lens alone" is the PSF of the network's training without its aberrations,
which the fit is calibrated on; "lens and aberrations" has other Zernike amplitudes in every
box, as its training had. The bound counts their spread as known; "x" is the error over it. That
of the lens alone knows that there are none, which a network that allows for them does not. In
brackets: error over stated error of the typical box. The photons of a fit lack the light far from
the middle, which no Gaussian has.""",
    CLASSES: """\
Which dye a spot is, from its box or from the spectrum beside it, with the dyes, optics and
dispersion of the network's training, drawn anew. Boxes: one emitter at any trained depth, 20
photons of background per pixel. "That the photons allow" is the accuracy of a likelihood ratio
of the two spots, from the Fisher information of their difference, where place, depth, light and
background have to be found, too; "all else known" is out of reach. Near the focal plane a spot
hardly changes with depth: errors are those of the upper half. Spectra: 10 photons of background
per pixel, dyes whose molecules differ by some nanometres; the centroid method is set on other
spectra of the same kind, with weighted rows in the window that suits it best; that of the whole
spectrum adds up all rows and wavelengths. Surest are those with the highest probability, or the
centroid farthest from a border between two dyes.""",
    BACKGROUNDS: """\
One emitter of 1000 photons within the middle pixel, 130 nm wide, on 50 photons per pixel with
structure: Perlin noise of three scales with cells of 6 to 24 pixels and a contrast of 40 %, a
slope of 6 % per pixel, a cloud twice the level, an emitter 4.5 to 7 pixels away. The same fit
takes the background for flat, for the median of 11 x 11 pixels around each pixel, or for what a
network states. Each field of light is shown 25 times with other noise: the bias is the mean
error of a field, root mean square over the fields, and the spread is what noise does. The bound
is that of a fit which knows the shape of the background.""",
    COLOURS: """\
Two dyes in frames of one grey camera, through the mask that the network was trained with: 0.1
emitters per µm², half of them of each dye, 15 photons of background per pixel, all the depths
of the training. An emitter of another colour is missed in its own, and made up in the other; of
those that are found at all, the right colours are counted, too.""",
}

SPEED = """\
Networks as fast as they go on frames with 0.1 emitters per µm², and on 2048 boxes at once; the
best of some tries. It is what this machine does beside its other work: measure yours by
`rtsmlm bench models`. {engines}"""

ENTER = """## Enter your model

This benchmark is open to all: the public site of the SMLM challenge no longer answers, and
every set here is drawn anew from its seed or comes with the reference data. A model is a folder
with `manifest.toml` and `model.onnx` ([how to make one](how-to/add-a-network.md)); whatever it
was trained with, the folder is all that is needed.

```sh
pip install rtsmlm                                        # any engine that is there is measured
rtsmlm bench models --model ./my-model --out my-model.json
rtsmlm bench models --from docs/benchmarks/models.json --from my-model.json --markdown mine.md
```

A package that brings an [architecture](how-to/add-a-network.md#an-architecture-of-your-own) by
the entry point `rtsmlm.network`, with its models in the folder `weights`, is found by itself:
`rtsmlm bench models` has it in every table that it can enter.

- **Which sets.** The manifest says: `task` rows, boxes or images; `psf` and `z_range_nm` in the
  plane or in depth. A network that knows one PSF states its optics in `training.recipe`
  (`[optics]`, or `[psf]` with a PSF file beside the model), and is also measured with that.
- **How to report.** The JSON holds version, machine, seed and every figure; results of the same
  format (now {format}) and seed can be compared, and the page is drawn from any number of such
  files without measuring again. Send it with the folder of the model, or its address, so that
  others can repeat it.
- **Reference data.** `RTSMLM_DATA` names their folder; without it the simulated sets alone are
  measured, and the page says so.
- **Fair play.** Train on anything but these sets. Their seeds are fixed, so that all see the
  same frames: measure with `--seed 1`, too, if you have looked at them often.
"""
