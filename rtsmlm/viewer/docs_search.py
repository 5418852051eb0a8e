"""Search in the documents: the help of the window, and the pages of a clone where it is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtsmlm.viewer.help_pages import sections

_DOCUMENTS = Path(__file__).parents[2]
_MOST_BYTES = 1 << 20
_IN_TITLE, _EXCERPT = 6, 700


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of a page."""

    page: str
    title: str
    text: str


def search_documents(query: str, most: int = 5) -> list[Passage]:
    """Return the sections that hold most of the words, best first; their texts are cut.

    Parameters
    ----------
    query
        Words, in any case of letters.
    most
        How many, at most.
    """
    words = {word for word in re.findall(r"\w+", query.casefold()) if len(word) > 1}
    scored = []
    for passage in _passages():
        title, text = passage.title.casefold(), passage.text.casefold()
        score = sum(_IN_TITLE * (word in title) + min(text.count(word), 5) for word in words)
        n_found = sum(word in title or word in text for word in words)
        if n_found:
            scored.append((n_found, score, passage))
    scored.sort(key=lambda one: one[:2], reverse=True)
    found = [passage for _, _, passage in scored[: max(1, most)]]
    return [Passage(one.page, one.title, one.text[:_EXCERPT]) for one in found]


def _passages() -> Iterator[Passage]:
    for section in sections().values():
        yield Passage(section.page, section.title, section.text)
    for path in (*_DOCUMENTS.glob("docs/*.md"), *_DOCUMENTS.glob("docs/how-to/*.md")):
        if path.stat().st_size <= _MOST_BYTES:
            parts = re.split(r"^#+ ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            for part in parts[1:]:
                title, _, text = part.partition("\n")
                yield Passage(path.relative_to(_DOCUMENTS).as_posix(), title.strip(), text.strip())
