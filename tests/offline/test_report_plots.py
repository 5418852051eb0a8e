"""Charts of the report are well-formed, and their marks stand where the numbers say."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtsmlm.offline.report.plots import Line, histogram, line_plot, share_bar
from rtsmlm.offline.report.summary import median_of

SIZE = (560, 250)


def drawn(markup: str) -> ElementTree.Element:
    """Parse what a chart returned, which fails where it is not well-formed."""
    return ElementTree.fromstring(markup)  # noqa: S314  # our own


def points(figure: ElementTree.Element) -> list[np.ndarray]:
    lines = [line.attrib["points"].split() for line in figure.iter("polyline")]
    return [np.array([[float(v) for v in pair.split(",")] for pair in line]) for line in lines]


@given(hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(-1e6, 1e6)))
def test_every_point_lies_within_its_chart(y: np.ndarray) -> None:
    line = Line("a & <b>", np.arange(len(y)) * 1.0, y)

    (curve,) = points(drawn(line_plot("t & u", "frame", "nm", [line], from_zero=False)))

    assert len(curve) == len(y)
    assert ((curve >= -0.1) & (curve <= (SIZE[0] + 0.1, SIZE[1] + 0.1))).all()


def test_a_gap_is_left_where_a_value_is_not_known() -> None:
    line = Line("x", np.arange(6.0), np.array([1.0, 2.0, math.nan, 3.0, 4.0, 5.0]))

    first, second = points(drawn(line_plot("t", "s", "nm", [line])))

    assert (len(first), len(second)) == (2, 3)


def test_a_power_stays_until_the_next_one() -> None:
    line = Line("uv", np.array([0.0, 10.0]), np.array([1.0, 5.0]), is_stepped=True)

    (curve,) = points(drawn(line_plot("t", "s", "mW", [line])))

    assert curve[0, 1] == curve[1, 1] != curve[2, 1]
    assert curve[1, 0] == curve[2, 0]


def test_bars_are_as_high_as_their_counts_and_stand_on_one_axis() -> None:
    counts = np.array([0, 10, 40, 20, 0, 10, 0])

    bars = list(drawn(histogram("p", "photons", counts, np.arange(8.0))).iter("rect"))

    heights = np.array([float(bar.attrib["height"]) for bar in bars])
    assert heights / heights.max() == pytest.approx(np.array([10, 40, 20, 10]) / 40, abs=0.002)
    feet = [float(bar.attrib["y"]) + float(bar.attrib["height"]) for bar in bars]
    assert np.ptp(feet) < 0.15
    assert histogram("p", "photons", counts * 0, np.arange(8.0)) == ""


def test_parts_of_a_bar_are_shares_of_the_whole() -> None:
    figure = drawn(share_bar("frames", (("s0", "localized", 75), ("s1", "lost", 25))))

    widths = [float(part.attrib["width"]) for part in figure.iter("rect")]
    assert widths == [75.0, 25.0]


def test_the_median_of_counts_is_that_of_the_values(rng: np.random.Generator) -> None:
    values = rng.normal(100, 10, 20_001)
    counts, edges = np.histogram(values, np.linspace(0, 240, 241))

    assert median_of(counts, edges) == pytest.approx(np.median(values), abs=0.3)
    assert math.isnan(median_of(counts * 0, edges))
