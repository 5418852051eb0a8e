"""The figures that keep the house in order are counted truly, and those of its map are met."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_figures", ROOT / ".ci" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def tree(folder: Path, **texts: str) -> dict[str, Path]:
    """Write modules; a double underscore in a name is a dot."""
    paths = {}
    for name, text in texts.items():
        paths[name.replace("__", ".")] = folder / f"{name}.py"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return paths


def test_three_modules_that_import_each_other_in_turn_are_one_circle(
    figures: ModuleType, tmp_path: Path
) -> None:
    sources = tree(
        tmp_path, a="import b", b="from c import thing", c="if True:\n    import a", d="import a"
    )

    assert figures.circles_of(figures.imports_of(sources)) == [["a", "b", "c"]]


def test_an_import_within_a_function_closes_no_circle(figures: ModuleType, tmp_path: Path) -> None:
    sources = tree(tmp_path, a="import b", b="def f():\n    import a")

    assert figures.circles_of(figures.imports_of(sources)) == []


def test_a_module_named_after_from_is_the_one_imported(figures: ModuleType, tmp_path: Path) -> None:
    sources = tree(tmp_path, p="", p__inner="import q", q="from p import inner, VALUE")

    assert figures.imports_of(sources)["q"] == {"p", "p.inner"}


def test_functions_inside_functions_and_private_ones_need_no_docstring(
    figures: ModuleType, tmp_path: Path
) -> None:
    text = """
def told():
    '''Return nothing.'''
    def inner(): ...

def bare(): ...

def _private(): ...

class Thing:
    def method(self):
        '''Do it.'''

class _Hidden:
    def method(self): ...
"""

    assert figures.documented_functions(tree(tmp_path, a=text).values()) == (2, 3)


def test_a_mapping_is_counted_where_it_says_nothing_of_its_values(
    figures: ModuleType, tmp_path: Path
) -> None:
    text = "x: dict[str, Any]\ny: Mapping[str, Any] | None\nz: dict[str, int]\n"

    assert figures.any_mappings(tree(tmp_path, a=text)["a"]) == 2


def test_a_figure_past_its_limit_is_not_met(figures: ModuleType) -> None:
    assert figures.Figure("files", 7, 7).met
    assert not figures.Figure("files", 8, 7).met
    assert figures.Figure("share", 0.6, 0.6, least=True).met
    assert not figures.Figure("share", 0.5, 0.6, least=True).met
    assert figures.Figure("lines", 50_000).met


@pytest.mark.parametrize("name", ["modules at the package root", "levels of the import contract"])
def test_the_map_of_the_house_fits_in_the_head(figures: ModuleType, name: str) -> None:
    (figure,) = (figure for figure in figures.figures() if figure.name == name)

    assert figure.met, str(figure)
