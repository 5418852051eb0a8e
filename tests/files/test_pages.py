"""The template of our pages: what is text stays text, what is HTML stays HTML."""

from __future__ import annotations

import pytest

from rtsmlm.files.run.pages import latency_section, note, page, section


@pytest.mark.parametrize(("good", "colour"), [(True, "good"), (False, "bad")])
def test_a_verdict_is_shown_as_good_or_bad_news(good: bool, colour: str) -> None:
    text = page("run", "3 < 4 frames lost", ["<p>part</p>"], good=good)

    assert f"<p class='{colour}'>3 &lt; 4 frames lost</p>" in text
    assert text.endswith("<p>part</p>\n")


def test_titles_headings_and_notes_cannot_run_anything() -> None:
    hostile = "<script>alert(1)</script>"

    text = page(hostile, hostile, [note(hostile), section(hostile, "<p>part</p>")], good=True)

    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 5, "twice the title, verdict, note, heading"


def test_every_stage_has_its_row_of_percentiles() -> None:
    stages = {
        "wait": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0},
        "localize": {"p50": 5.0, "p95": 6.0, "p99": 7.0, "max": 8.125},
    }

    text = latency_section(stages)

    assert "<h2>Latency</h2>" in text
    assert "<td>wait</td><td>1.00 ms</td><td>2.00 ms</td><td>3.00 ms</td>" in text
    assert "<td>8.12 ms</td>" in text
