"""What the documents tell people to type is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtsmlm.settings.base import Settings
from rtsmlm.settings.load import load, packaged
from rtsmlm.settings.run import RunSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def settings_named(text: str) -> set[tuple[str, str]]:
    known = {name: field.default for name, field in RunSettings.model_fields.items()}
    # Of lasers and stages the names are anybody's, and `lasers.csv` is a file.
    sections = "|".join(name for name, default in known.items() if isinstance(default, Settings))
    return set(re.findall(rf"`({sections})\.([a-z0-9_]+)", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    for section, key in settings_named(page.read_text(encoding="utf-8")):
        assert key in getattr(RunSettings(), section).__class__.model_fields, f"{section}.{key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_override_on_a_command_line_is_valid(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    overrides = re.findall(r"--set (\S+=[^\s`]+)", text)

    load(None, [o for o in overrides if "..." not in o])

    for name in re.findall(r"micromanager\.config=(\S+\.cfg)", text):
        assert packaged(name).is_file()


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- (\S+)-command -->\n```sh\n(.+)\n```", text)

    assert [name for name, _ in commands] == ["first", "second"]
    assert commands[0][1] == "pip install -c constraints.txt -e . && rtsmlm live"
    assert commands[1][1] == 'pip install -c constraints.txt -e ".[test]" && pytest'
