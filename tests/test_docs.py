"""What the documents tell people to type is understood, and what they show is in the code."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import rtsmlm
from rtsmlm.settings.base import Settings
from rtsmlm.settings.load import load, packaged
from rtsmlm.settings.run import RunSettings

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "rtsmlm").rglob("*.md")),
    ROOT / "tests" / "README.md",
]

VAGUE = r"\b(nobody|somebody|whoever|anybody)\b|\b[Tt]wice is fine\b"
"""Words that leave open who acts; GLOSSARY.md says what to write."""
PLAIN = {
    "*.md": ("GLOSSARY.md",),
    ".github/**/*.md": (),
    "configs/*.toml": (),
    "docs/**/*.md": ("docs/decisions/",),
    "drivers/**/*.py": (),
    "examples/**/*": (),
    "models/**/*.py": (),
    "rtsmlm/**/*.py": (),
    "rtsmlm/**/*.md": (),
}
"""Files that hold no vague word, and what is left out of them; add a line for what is clean."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def settings_named(text: str) -> set[tuple[str, str]]:
    known = {name: field.default for name, field in RunSettings.model_fields.items()}
    # Lasers and stages have names of their own; `drift.csv` is a file.
    sections = "|".join(name for name, default in known.items() if isinstance(default, Settings))
    return set(re.findall(rf"`({sections})\.(?!csv\b)([a-z0-9_]+)", text))


def code_shown(text: str) -> list[tuple[str, str]]:
    """Return (file, code) of each block that a page shows as part of a file."""
    blocks = re.findall(r"<!-- from (\S+) -->\n *```\w*\n(.*?)\n *```", text, re.DOTALL)
    return [(path, part) for path, code in blocks for part in re.split(r"\n *\.\.\. *\n", code)]


def lines_of(code: str) -> list[str]:
    """Return lines without indent; how many empty ones are between differs in a document."""
    return [line.strip() for line in code.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    for section, key in settings_named(page.read_text(encoding="utf-8")):
        assert key in getattr(RunSettings(), section).__class__.model_fields, f"{section}.{key}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_override_on_a_command_line_is_valid(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"--set (?:\"([^\"]+)\"|([^\s\"]+=[^\s`]+))", text)
    overrides = [quoted or plain for quoted, plain in found]

    load(None, [o for o in overrides if "..." not in o])

    for name in re.findall(r"micromanager\.config=(\S+\.cfg)", text):
        assert packaged(name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_that_a_page_shows_of_a_file_stands_in_that_file(page: Path) -> None:
    for path, code in code_shown(page.read_text(encoding="utf-8")):
        there = (ROOT / path).read_text(encoding="utf-8")
        lines, shown = lines_of(there), lines_of(code)
        starts = range(len(lines) - len(shown) + 1)
        assert any(lines[k : k + len(shown)] == shown for k in starts), f"{path}:\n{code}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_program_of_a_page_imports_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"^(?:from|import) (rtsmlm\S*)", text, re.MULTILINE):
        assert importlib.util.find_spec(name) is not None, name
    for module, name in re.findall(r"^from (rtsmlm\S*) import (\w+)$", text, re.MULTILINE):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("pattern", PLAIN)
def test_no_sentence_leaves_open_who_acts(pattern: str) -> None:
    paths = [path for path in ROOT.glob(pattern) if path.is_file()]
    texts = {
        name_of(path): path.read_text(encoding="utf-8")
        for path in paths
        if "__pycache__" not in path.parts and not name_of(path).startswith(PLAIN[pattern] or "/")
    }

    assert texts
    for name, text in texts.items():
        assert [line for line in text.splitlines() if re.search(VAGUE, line)] == [], name


def test_the_picture_of_processes_is_sound_and_has_colours_for_a_dark_page() -> None:
    text = (ROOT / "docs" / "images" / "processes.svg").read_text(encoding="utf-8")

    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own file
    assert "prefers-color-scheme: dark" in text


def test_the_architecture_page_names_every_thread_there_is() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sources = [p for folder in ("rtsmlm", "drivers") for p in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    names = set(re.findall(r"\bWorker\(\s*\"([a-z-]+)\"", code))
    names |= set(re.findall(r"thread_name_prefix=\"rtsmlm-([a-z-]+)\"", code))

    shown = set(re.findall(r"`rtsmlm-([a-z-]+)`", page))
    assert names - shown == set()


def test_the_page_of_the_public_interface_has_every_public_name_and_each_can_be_imported() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    public = {name for name in rtsmlm.__all__ if not name.startswith("__")}

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == public
    assert all(getattr(rtsmlm, name).__doc__ for name in public)


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- (\S+)-command -->\n```sh\n(.+)\n```", text)

    assert [name for name, _ in commands] == ["first", "second"]
    assert commands[0][1] == "pip install -c constraints.txt -e . && rtsmlm live"
    assert commands[1][1] == 'pip install -c constraints.txt -e ".[test]" && pytest'
