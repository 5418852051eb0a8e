"""Text that others wrote moves no cursor, forges no line and hides no character."""

from __future__ import annotations

import io
import logging
import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from rtsmlm.cli.terminal import PrintableConsole
from rtsmlm.errors import LONGEST_MESSAGE, ConfigError, FileFormatError, printable, sentence
from rtsmlm.files.run.pages import note, page
from rtsmlm.realtime.log_format import PrintableFormatter

HOSTILE = "a\x1b[2Jb\x07c\u202ed\u2028e\u200bf\x9bg\ud800h\rforged"


@given(st.text())
def test_printable_text_holds_no_character_that_is_not_seen(text: str) -> None:
    shown = printable(text)

    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_visible_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text(max_size=5000))
def test_every_error_of_ours_is_one_line_of_limited_length(text: str) -> None:
    for error in (ConfigError(text), pickle.loads(pickle.dumps(FileFormatError(text)))):  # noqa: S301
        assert len(str(error).splitlines()) <= 1
        assert len(str(error)) <= LONGEST_MESSAGE
    assert sentence("a\n  b\tc") == "a b c"


def test_nothing_hostile_reaches_a_terminal_not_even_from_a_table() -> None:
    out = io.StringIO()
    console = PrintableConsole(file=out, force_terminal=False, width=400)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)

    console.print(HOSTILE, markup=False)
    console.print(table)
    console.print("[bold]ours[/]")

    text = out.getvalue()
    assert text.count("\\x1b") == 4
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "ours" in text


def test_our_own_colours_still_reach_a_terminal() -> None:
    out = io.StringIO()

    PrintableConsole(file=out, force_terminal=True).print("[bold]x[/]")

    assert "\x1b[1m" in out.getvalue()


def test_nothing_hostile_reaches_a_log_and_a_traceback_keeps_its_lines() -> None:
    formatter = PrintableFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        record = logging.LogRecord(
            "rtsmlm", logging.WARNING, "f", 1, "%s", (HOSTILE,), (type(error), error, None)
        )

    lines = formatter.format(record).split("\n")

    assert lines[0].startswith("WARNING a\\x1b[2Jb")
    assert all(line.isprintable() for line in lines)
    assert lines[-1].startswith("ValueError")


def test_nothing_hostile_reaches_a_page() -> None:
    made = page(HOSTILE, HOSTILE, [note(HOSTILE)], good=True)

    assert all(c.isprintable() or c == "\n" for c in made)


@pytest.mark.parametrize("text", ["", "x", "ä€😀 \xa0"])
def test_plain_text_costs_nothing(text: str) -> None:
    assert printable(text) == text
