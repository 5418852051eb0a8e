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


def labels(markup: str) -> list[str]:
    return [text.text or "" for text in drawn(markup).iter("text")]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (1.0, ["0", "0.5", "1"]),
        (0.062, ["0", "0.02", "0.04", "0.06"]),
        (4.2e6, ["0", "1 M", "2 M"]),
    ],
)
def test_ticks_are_round_numbers(top: float, ticks: list[str]) -> None:
    line = Line("a", np.array([0.0, 10.0]), np.array([0.0, top]))

    shown = labels(line_plot("t", "frame", "nm", [line]))

    assert all(tick in shown for tick in ticks), shown


def test_a_logarithmic_axis_has_the_powers_of_ten_or_1_2_and_5_of_them() -> None:
    edges = np.geomspace(1.0, 1e6, 61)
    wide, narrow = np.ones(60, np.int64), np.zeros(60, np.int64)
    narrow[28:36] = 10

    assert {"10", "100", "1\u202f000", "10\u202f000"} <= set(
        labels(histogram("t", "photons", wide, edges, is_log=True))
    )
    assert {"1\u202f000", "2\u202f000"} <= set(
        labels(histogram("t", "photons", narrow, edges, is_log=True))
    )


def test_a_few_far_off_rows_do_not_press_the_others_together() -> None:
    counts = np.zeros(240, np.int64)
    counts[5:20], counts[239] = 1000, 1

    bars = list(drawn(histogram("t", "nm", counts, np.linspace(0, 240, 241))).iter("rect"))

    assert len(bars) == 15
    assert float(bars[0].attrib["width"]) > 10


def test_a_median_is_marked_with_its_label() -> None:
    counts, edges = np.ones(10, np.int64), np.linspace(0.0, 10.0, 11)

    marked = histogram("t", "nm", counts, edges, mark=("median 5 nm", 5.0))
    outside = histogram("t", "nm", counts, edges, mark=("median 50 nm", 50.0))

    assert "median 5 nm" in labels(marked)
    assert "median 50 nm" not in labels(outside)


def test_a_chart_of_nothing_is_none() -> None:
    nothing = Line("a", np.arange(3.0), np.full(3, math.nan))

    assert line_plot("t", "s", "nm", []) == line_plot("t", "s", "nm", [nothing]) == ""
    assert share_bar("t", (("s0", "a", 0),)) == ""


def test_several_lines_have_a_legend_and_one_has_none() -> None:
    one = Line("localizations", np.arange(3.0), np.arange(3.0))
    two = Line("target", np.arange(3.0), np.ones(3), "aim")

    assert "class='key'" not in line_plot("t", "s", "nm", [one])
    assert line_plot("t", "s", "nm", [one, two]).count("class='key'") == 2
