"""The one template of our HTML pages: heading, verdict, parts; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from rtsmlm.errors import printable
from rtsmlm.files.run.charts import STYLE, table_of

PERCENTILES = ("p50", "p95", "p99", "max")


def page(
    title: str, verdict: str, parts: Iterable[str], *, good: bool, more_style: str = ""
) -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Heading, plain text.
    verdict
        The one line that matters, plain text.
    parts
        What follows, as HTML.
    good
        Whether the verdict is good news.
    more_style
        Rules beside those of all pages.
    """
    return printable(
        "\n".join(
            (
                f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title>",
                f"<style>{STYLE}{more_style}</style><h1>{escape(title)}</h1>",
                f"<p class='{'good' if good else 'bad'}'>{escape(verdict)}</p>",
                *parts,
                "",
            )
        ),
        keep="\n",
    )


def note(text: str) -> str:
    """Return a remark, given as plain text."""
    return f"<p class='note'>{escape(text)}</p>"


def section(heading: str, *parts: str) -> str:
    """Return parts in HTML under a heading, which is plain text."""
    return "\n".join((f"<h2>{escape(heading)}</h2>", *parts))


def latency_section(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Return the percentiles of every stage as a table with its heading."""
    stages = (
        (name, *(time_text(stage[p]) for p in PERCENTILES)) for name, stage in latency_ms.items()
    )
    return section("Latency", table_of(("stage", *PERCENTILES), stages))


def time_text(milliseconds: float) -> str:
    """Return a time as a person writes it: 4.25 ms, 212 ms, 6.76 s."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.2f} ms"
