"""The site: every page is in it, links stay in it, and its reference is that of the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import rtsmlm
from rtsmlm.cli import COMMANDS
from rtsmlm.settings.base import Settings
from rtsmlm.settings.run import RunSettings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / ".ci" / "site_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_setting_stands_in_the_reference_with_what_it_means(site: ModuleType) -> None:
    page = site.settings_page()

    for name, field in RunSettings.model_fields.items():
        if not isinstance(field.default, Settings):
            continue
        part = page.split(f"## [{name}]")[1].split("\n## ")[0]
        for key in type(field.default).model_fields:
            (row,) = re.findall(rf"^\| `{key}` \|.*$", part, re.MULTILINE)
            assert not row.endswith("|  |"), f"{name}.{key} has no meaning"


def test_every_command_stands_in_the_reference_with_its_options(site: ModuleType) -> None:
    page = site.commands_page()

    assert set(re.findall(r"^## rtsmlm (\S+)$", page, re.MULTILINE)) == set(COMMANDS)
    assert "| `--cluster` | Localize on a cluster" in page
    assert "### rtsmlm calibrate camera" in page


def test_every_public_name_and_each_of_its_methods_stands_in_the_reference_with_what_it_does(
    site: ModuleType,
) -> None:
    page = site.python_page()
    members = sys.modules["python_page"].members
    public = {name: getattr(rtsmlm, name) for name in rtsmlm.__all__ if name[:2] != "__"}

    for name, thing in public.items():
        assert page.split(f"### rtsmlm.{name}\n")[1].split("###")[0].strip(), name
        if isinstance(thing, type):
            for method, _, text in members(thing):
                assert text, f"{name}.{method} has no docstring"
                assert f"#### {name}.{method}\n" in page
    assert "### rtsmlm.protocols.Localizer\n" in page
    assert "| `ConfigError` | A setting is wrong" in page
    assert '"float"' not in page
    assert "Parameters ------" not in page


@pytest.mark.parametrize(
    ("uri", "before", "after"),
    [
        ("how-to/a.md", "[b](b.md#c)", "[b](b.md#c)"),
        ("how-to/a.md", "[words](../../GLOSSARY.md#d)", "[words](../glossary.md#d)"),
        ("how-to/a.md", "[code](../../rtsmlm/frames.py)", "code (`rtsmlm/frames.py`)"),
        ("how-to/a.md", "[`frames.py`](../../rtsmlm/frames.py)", "`frames.py`"),
        ("a.md", "![window](images/w.png)", "![window](images/w.png)"),
        ("index.md", "[tour](tutorial.md)", "[tour](tutorial.md)"),
        ("index.md", "[words](GLOSSARY.md)", "[words](glossary.md)"),
        ("a.md", "[far](https://example.org/x.md)", "[far](https://example.org/x.md)"),
    ],
)
def test_links_stay_in_the_site_or_become_names(
    site: ModuleType, uri: str, before: str, after: str
) -> None:
    known = {"how-to/a.md", "how-to/b.md", "glossary.md", "tutorial.md", "images/w.png", "a.md"}

    assert site.inside(before, uri, known) == after


def test_the_site_builds_without_a_warning_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    pytest.importorskip("material")
    command = [
        sys.executable,
        "-P",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-d",
        tmp_path / "site",
    ]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.?https?://(?!squidfunk)", page)
    for name in ("how-to/feedback", "window", "theory"):
        page = (tmp_path / "site" / name / "index.html").read_text(encoding="utf-8")
        assert "covers:" not in page
        assert "rtsmlm/feedback/law/law.py" not in page


def test_the_figures_of_the_theory_are_those_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("figs", ROOT / ".ci" / "theory_figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = figures
    spec.loader.exec_module(figures)
    title, labels = "Ring correlation", ("frequency per µm", "correlation")

    made = figures.svg(title, *labels, figures.ring_correlations())
    kept = (ROOT / "docs" / "images" / "theory-frc.svg").read_text(encoding="utf-8")

    # The last digit of a place in the picture may differ from one processor to another.
    numbers = [np.array(re.findall(r"[\d.]+", text.split("</style>")[1]), float)
               for text in (made, kept)]  # fmt: skip
    np.testing.assert_allclose(numbers[0], numbers[1], atol=0.5)
    for name in ("precision", "crowding", "control", "power"):
        text = (ROOT / "docs" / "images" / f"theory-{name}.svg").read_text(encoding="utf-8")
        assert "prefers-color-scheme:dark" in text
        assert "polyline class=" in text
