"""The tables of docs/accuracy.md: rows in, Markdown out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from rtsmlm.bench.accuracy.measure import Limit, Outcome, Row
from rtsmlm.errors import number_text

INTRODUCTION = """# Accuracy

Made by `{command}`
with rtsmlm {version} on {processor}: all localizers on the same movies in the same run. A **bold**
figure misses its bar; without a bar a figure is reported, not judged. The aim is what would be
good.

The simulated movies are drawn by `rtsmlm.physics`, which shares no code with the simulator that
networks are trained on. Their frames are independent of each other and numbered with gaps, so
that no localizer sees neighbours; the tubules and the reference data are movies, and it does. The
camera counts photons unless a row names another.

A network is followed by a maximum likelihood fit where it has found emitters
(`localizer.refine`), or is asked where such a fit cannot tell (`localizer.fit_first`): the rows of
isolated emitters then are those of the fit, and rest on the PSF being the Gaussian that these
frames are drawn with. The column "network alone" leaves it out.

Networks of other kinds, and those that are trained for one PSF, stand in [models](models.md).
"""

ABOUT: dict[str, str] = {
    "Isolated emitters": """RMSE along one axis, root mean square of x and y, over the Cramér-Rao
bound of the same emitters and camera. The Jaccard index measures whether all were found.""",
    "Crowds": """Emitters anywhere, matched nearest pair first within 250 nm; a border of 450 nm is
left out. A pair reported as one emitter has an error of half their distance, which no stated error
can foresee: hence the figure from the median deviation, which is that of the typical pair.""",
    "Stated errors": """Errors over the standard deviations that the localizer states; the bias is
the largest mean error in ten bins of the place within the pixel, along x or y.""",
    "Empty frames": """Nothing but background. Bars are for the count; what it proves is the row
below it.""",
    "Astigmatic PSF": """Isolated emitters spread evenly over z, RMSE over the root mean square of
their bounds. The localizers are given the true curves, 600 nm to both sides of the focus.""",
    "Depth": """Lone emitters in parts of the calibrated range, of the PSF of a formula (600 nm to
both sides of the focus, its true curves) and of the astigmatic beads of the SMLM-2016 challenge,
with the curves that a calibration on them finds. Bounds are those of the PSF that the frames are
drawn with, not of a Gaussian. Stated errors should be those that are made: 1.""",
    "Near pairs in depth": """Two emitters of equal light, each at a depth of its own within 400 nm
of focus, the bound that of a fit of both. Two that are taken for one are in the root mean square
with half their distance.""",
    "Tubules in depth": """Movies as those of the SMLM-2016 challenge with which DECODE's published
biplane figures of 87 and 62 were reached, drawn as the section below says with the astigmatic beads
of the challenge; emitters of one tubule lie beyond the calibrated range. Scored by its protocol:
its ranking counts the brightest 75 % of the emitters.""",
    "Dim emitters": """Emitters that stand alone and hardly rise above the noise. Which of them
count depends on how many false ones one bears; the row below each has those.""",
    "Deeper than the focus": """A two-dimensional PSF measured on the beads of the SMLM-2016
challenge, its halo and its light by depth included, and movies with the statistics of its MT0.N1.HD
and MT0.N1.LD: three tubules, one from -640 to 575 nm and two within 340 nm of z = 0; fluorophores
that blink and bleach with its kinetics, dense or sparse in frames of 64 x 64 pixels; 10 860 photons
each at most; 90 photo-electrons of background per pixel; its EMCCD. The 24 frames that the
challenge published with their truth are drawn by the same means to within their noise.
Scored by its protocol, the median offset taken off: its ranking counts the brightest 75 % of the
emitters, and so do the bars.""",
    "Density": """What the laser is steered by: emitters per um2, mean of the field, of the last ten
of 30 frames, each with other emitters of the structure. What a localizer misses is added by the
recall that it states, and the error of that is part of the stated one.""",
    "Reference data": """Movies that others have made; nothing was trained on them. The bar of the
microtubules and of the challenge is the best of those named in the row.""",
}

PEER_NOTE = """Other programs are given camera and PSF width, and the best of several settings
counts, chosen by the Jaccard index on the very movie that is reported (by the efficiency of the
challenge for emitters that stand alone and for efficiencies):
small boxes and those of their defaults or of six PSF widths, and detection thresholds from far too
low to far too high. Ours run with their defaults."""


def page(outcome: Outcome, columns: Sequence[str], facts: dict[str, str]) -> str:
    """Return the page.

    Parameters
    ----------
    outcome
        What was measured.
    columns
        Names of all contenders in their order.
    facts
        `command`, `version` and `processor` for the introduction, and `peers`, names and versions
        of other programs or nothing.
    """
    parts = [INTRODUCTION.format(**{"peers": "", **facts})]
    if facts.get("peers"):
        parts.append(f"{PEER_NOTE}\nThey are {facts['peers']}.\n")
    for section, rows in itertools.groupby(outcome.shown(), key=lambda row: row.section):
        parts.append(f"## {section}\n\n{ABOUT.get(section, '')}\n")
        parts.append(markdown_table(list(rows), columns))
    if outcome.all_notes():
        notes = "".join(f"- {note}\n" for note in outcome.all_notes())
        parts.append(f"## What is left out\n\n{notes}")
    return "\n".join(parts)


def markdown_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return the table of one section, with the columns that hold something."""
    used = [name for name in columns if any(name in row.values for row in rows)]
    lines = [
        "| condition | figure | bar | aim | " + " | ".join(used) + " |",
        "|---" * (4 + len(used)) + "|",
    ]
    condition = ""
    for row in rows:
        shown = "" if row.condition == condition else row.condition
        condition = row.condition
        cells = [_cell(row, name) for name in used]
        goal = [row.goal.figure, bar_text(row), limit_text(row.goal.aim)]
        lines.append("| " + " | ".join([shown, *goal, *cells]) + " |")
    return "\n".join(lines) + "\n"


def bar_text(row: Row) -> str:
    """Return the bar of a row as text."""
    if row.goal.above:
        named = [name for name in row.goal.above if name in row.values]
        return f"above {', '.join(named)}" if named else ""
    return limit_text(row.goal.bar)


def limit_text(limit: Limit | None) -> str:
    """Return a limit as text; nothing where there is none."""
    return "" if limit is None else str(limit)


def value_text(value: float) -> str:
    """Return a figure with three digits."""
    return "-" if math.isnan(value) else number_text(value)


def _cell(row: Row, name: str) -> str:
    if name not in row.values:
        return ""
    text = value_text(row.values[name])
    return f"**{text}**" if row.met(name) is False else text
