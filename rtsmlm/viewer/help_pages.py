"""Help pages: what the window says of its parts and of the theory, in sections; no Qt here.

The pages are Markdown files of this package, and pages of the documents as well. A link that leads
out of them becomes the name of the file, since the documents are not installed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).with_name("help")
PAGES = ("window.md", "theory.md")
"""In the order in which they are offered."""
FIRST = "the-window-as-a-whole"
_DOCUMENTS = "../../../"
_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n*", re.MULTILINE)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(?:#([^)\s]*))?\)")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading."""

    page: str
    """Name of the file."""
    title: str
    anchor: str
    """As in an address of the site; no two sections of all pages share one."""
    text: str
    """Markdown, with links to anchors alone."""


def anchor_of(title: str) -> str:
    """Return the anchor that GitHub and mkdocs make of a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip())


@lru_cache(maxsize=1)
def sections() -> dict[str, Section]:
    """Return all sections by their anchors, in the order of the pages."""
    return {section.anchor: section for page in PAGES for section in _sections_of(page)}


def _sections_of(page: str) -> Iterator[Section]:
    text = (FOLDER / page).read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        shown = _LINK.sub(_inside, _PICTURE.sub("", body)).strip()
        yield Section(page, title.strip(), anchor_of(title), shown)


def _inside(match: re.Match[str]) -> str:
    text, target, anchor = match[1], match[2], match[3] or ""
    if "://" in target:
        return match[0]
    if not target or target in PAGES:
        return f"[{text}](#{anchor or _first_of(target)})"
    return f"{text} (`{posixpath.normpath(target).removeprefix(_DOCUMENTS)}`)"


def _first_of(page: str) -> str:
    text = (FOLDER / page).read_text(encoding="utf-8")
    found = re.search(r"^## (.*)$", text, re.MULTILINE)
    return anchor_of(found[1]) if found else ""
