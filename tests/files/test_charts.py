"""Charts are well-formed SVG whose marks are where the numbers say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtsmlm.files.run.charts import line_chart, table_of

values = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e9))


def drawn(markup: str) -> ElementTree.Element:
    """Parse what a chart returned, which fails where it is not well-formed."""
    return ElementTree.fromstring(markup)  # noqa: S314  # our own


def points_of(figure: ElementTree.Element, tag: str = "polyline") -> np.ndarray:
    marks = figure.find(f".//{tag}")
    assert marks is not None
    return np.array(
        [[float(v) for v in pair.split(",")] for pair in marks.attrib["points"].split()]
    )


def size_of(figure: ElementTree.Element) -> tuple[float, float]:
    drawing = figure.find("svg")
    assert drawing is not None
    return float(drawing.attrib["width"]), float(drawing.attrib["height"])


@given(values)
def test_every_point_of_a_line_lies_within_its_figure(y: np.ndarray) -> None:
    figure = drawn(line_chart("a & b", "frame", np.arange(len(y)) * 1.0, y))

    points = points_of(figure)
    width, height = size_of(figure)
    assert len(points) == len(y)
    assert ((points >= 0) & (points <= (width, height))).all()
    assert (np.diff(points[:, 0]) >= 0).all()


def test_a_line_twice_as_high_rises_twice_as_far_from_the_axis() -> None:
    figure = drawn(line_chart("t", "s", np.array([0.0, 1.0, 2.0]), np.array([0.0, 5.0, 10.0])))

    (_, base), (_, middle), (_, top) = points_of(figure)
    assert base - top == pytest.approx(2 * (base - middle), abs=0.1)
    assert "10" in [text.text for text in figure.iter("text")]


def test_a_line_of_zeros_lies_on_the_axis() -> None:
    figure = drawn(line_chart("t", "s", np.arange(3.0), np.zeros(3)))

    assert len(set(points_of(figure)[:, 1])) == 1


def test_a_band_encloses_its_line() -> None:
    x, y = np.arange(5.0), np.array([2.0, 3.0, 4.0, 3.0, 2.0])

    figure = drawn(line_chart("t", "s", x, y, band=(y - 1, y + 1)))

    lower_then_upper = points_of(figure, "polygon")[:, 1]
    line = points_of(figure)[:, 1]
    assert (lower_then_upper[:5] > line).all(), "down is up in a drawing"
    assert (lower_then_upper[5:][::-1] < line).all()


def test_titles_are_text_and_not_markup() -> None:
    figure = line_chart("<script>x</script> & more", "s", np.arange(2.0), np.arange(2.0))

    assert drawn(figure).findtext("figcaption") == "<script>x</script> & more"


def test_tables_show_two_digits_of_floats_and_escape_the_rest() -> None:
    table = drawn(table_of(("<stage>", "ms"), [("localize & go", 3.14159), ("<b>", 7)]))

    cells = [[cell.text for cell in row] for row in table.iter("tr")]
    assert cells == [["<stage>", "ms"], ["localize & go", "3.14"], ["<b>", "7"]]


def test_a_page_part_fetches_and_runs_nothing() -> None:
    parts = line_chart("t", "s", np.arange(2.0), np.arange(2.0)) + table_of(("a",), [(1,)])

    assert not re.search(r"script|href|src=|url\(", parts)
