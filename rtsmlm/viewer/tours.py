"""Tours: some minutes each on the simulated microscope, a step at a time; no Qt here.

One more tour: its steps here, and a simulated microscope among the packaged configurations.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

_DETACHED = 0x00000008 | 0x00000200
"""Windows: no console of the parent, and not ended with it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a tour says of one part of the window."""

    panel: str
    """Name of the part, as `Guide` takes it; `curves:Loop` is a tab of the curves."""
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Tour:
    """Steps on one simulated run."""

    name: str
    title: str
    arguments: tuple[str, ...]
    """Of `rtsmlm live`, for the run that the steps are written for."""
    steps: tuple[Step, ...]

    @property
    def command(self) -> str:
        """What starts its run, as it is typed."""
        return " ".join(("rtsmlm live", *self.arguments))


def start_run(tour: Tour) -> subprocess.Popen[bytes]:
    """Start the run of a tour with a window of its own, in a process that outlives this one.

    Raises
    ------
    OSError
        If no process can be started.
    """
    command = [sys.executable, "-P", "-m", "rtsmlm.cli", "live", *tour.arguments]
    none = subprocess.DEVNULL
    if sys.platform == "win32":
        return subprocess.Popen(command, stdin=none, stdout=none, stderr=none,
                                creationflags=_DETACHED)  # fmt: skip
    return subprocess.Popen(command, stdin=none, stdout=none, stderr=none, start_new_session=True)


FIRST_RUN = Tour(
    "first-run", "First run", (),
    (
        Step("camera", "What the camera sees",
             "The newest frame of a simulated microscope. Every ring is an emitter that was "
             "localized in this frame; spots without a ring were missed."),
        Step("image", "The image that grows",
             "All localizations so far. Turn the wheel to zoom, drag to pan, double click to see "
             "the whole field. Press D and drag to measure a distance."),
        Step("curves:Signal", "Photons and precision",
             "How bright a localization is, and how well its place is known: about 5 nm here. "
             "Precision grows with the root of the photons."),
        Step("curves:Image", "When there is enough",
             "FRC is the finest detail on which two halves of the data agree. It falls while the "
             "image fills, and then stands: more frames add little."),
        Step("filters", "Keep only what is good",
             "Tick Precision and drag a handle. Nothing is deleted, and a chip above the image "
             "names each filter that is on."),
        Step("lights", "Every frame is accounted for",
             "Received, recorded, localized, skipped, lost; and model, which says whether PSF and "
             "camera fit the data."),
        Step("experiment", "Before the next run",
             "Name the sample here; it stands in the files, in the report and in the name of the "
             "folder. Then Start. F1 helps wherever the mouse is."),
    ),
)  # fmt: skip
LASERS = Tour(
    "lasers", "Lasers", ("hil_sim.toml", "--arm"),
    (
        Step("laser", "Armed, and dark at first",
             "A simulated 405-nm laser. Commands are sent only with feedback.arm = true and --arm; "
             "otherwise the loop says what it would do. A short test pulse measures the sample."),
        Step("curves:Loop", "The density is held",
             "Green is the target. The loop reaches it within about ten seconds, and the power "
             "then rises slowly, as the pool of dark emitters shrinks."),
        Step("laser", "Ask for another density",
             "Set target to 0.1 and press Enter: the laser follows, by 22 % a second at most. It "
             "falls much faster than it rises, since light cannot be taken back."),
        Step("header", "LASER OFF",
             "Press F12. All lasers go dark and stay so; beside the button stands whether that is "
             "confirmed. The recording goes on."),
        Step("laser", "Tripped, and reset",
             "The reason stands here. Reset trip lifts the latch; the laser stays dark and the "
             "loop monitors. The next run with --arm arms it anew."),
        Step("header", "Close the window",
             "It asks: stop the run, or keep it running unattended. Before you trust your own "
             "lasers, rehearse: rtsmlm hil my_rig.toml --arm."),
    ),
)  # fmt: skip
TWO_COLOURS = Tour(
    "two-colours", "Two colours", ("sim_two_colour.toml",),
    (
        Step("camera", "Two views on one chip",
             "A mirror puts light below 685 nm on the left half and light above on the right. "
             "Rings stand in the first view."),
        Step("image", "Colour by channel",
             "Choose Channel in the second list: filaments are AF647, the rings CF680. Every "
             "emitter is fitted in both views at once, and its shares of light say which dye."),
        Step("image", "One channel at a time",
             "Press Layers (L) and untick a channel: the other one stays, in its colour."),
        Step("filters", "Less crosstalk",
             "The setting channels.min_probability, 0.9 for example, keeps the rows whose dye is "
             "more certain: less crosstalk, fewer rows."),
        Step("lights", "On your own microscope",
             "rtsmlm calibrate channels registers the views on beads, rtsmlm calibrate dyes "
             "measures the dyes. The model is not judged where there are several views."),
    ),
)  # fmt: skip
CROWDED = Tour(
    "crowded", "A crowded sample rescued",
    ("hil_sim.toml", "--arm", "--set", "feedback.target_per_um2=0.8",
     "--set", "feedback.max_local_per_um2=3", "--set", "localizer.name=gaussian-mle"),
    (
        Step("curves:Loop", "Too many at once",
             "For this run the limit that protects a fit, 0.3 in the crowded part, was lifted, and "
             "a target of 0.8 was asked: the laser goes to its cap, and crowded lies far above "
             "what a fit separates."),
        Step("camera", "What crowding looks like",
             "Spots touch, and rings lie between them: two emitters were taken for one. Such rows "
             "are off by tens of nanometres, and no filter finds all of them."),
        Step("laser", "Rescue: ask for less",
             "Set target to 0.1 and press Enter. The power falls at once, and within seconds the "
             "spots stand apart."),
        Step("curves:Loop", "Held again",
             "The density comes down to the new target and stays. Emitters that were saved come "
             "later: the same number of localizations, each of them good."),
        Step("filters", "Leave out the crowded start",
             "Tick Frames, drag the left handle past the dense part, and empty the right number, "
             "so that new frames stay in. The image shows what came after only."),
        Step("curves:Image", "Or take what separates more",
             "For samples that cannot be thinned out, the network flagship-2d resolves up to about "
             "1 per µm². F1 has the theory: density and crowding."),
    ),
)  # fmt: skip
TOURS = {tour.name: tour for tour in (FIRST_RUN, LASERS, TWO_COLOURS, CROWDED)}
