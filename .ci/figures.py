"""Figures of the house, each with its limit: `python .ci/figures.py`; exit code 1 past a limit.

Reads the source as text and imports nothing of it, so that it runs on any Python from 3.11.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"rtsmlm": "rtsmlm", "rtsmlm.drivers": "drivers", "rtsmlm.models": "models"}
"""Folder of each package, as `[tool.setuptools.package-dir]` has it."""

LENGTH_CHECKED = ("rtsmlm", "drivers", "models", "examples", ".ci")
"""Tests may be as long as their cases are."""

LONGEST = 320
MAPPINGS = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[str, Any\]")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its limit."""

    name: str
    value: float
    limit: float = math.nan
    least: bool = False
    """The limit is the least value, not the largest."""
    where: tuple[str, ...] = ()
    """What is past the limit."""

    @property
    def met(self) -> bool:
        """Whether it is within the limit, or has none."""
        if math.isnan(self.limit):
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        bound = "" if math.isnan(self.limit) else f"{'>=' if self.least else '<='} {self.limit:g}"
        return f"{self.name:<46}{self.value:>8.4g}  {bound:<9}{'' if self.met else ' PAST'}"


def figures(root: Path = ROOT) -> list[Figure]:
    """Return all figures of a checkout."""
    sources = {name: path for name, path in modules(root).items() if path.is_file()}
    circles = circles_of(imports_of(sources))
    lengths = {path: lines_of(path) for path in python_files(root, LENGTH_CHECKED)}
    long = {path: n for path, n in lengths.items() if n > LONGEST}
    documented, public = documented_functions(sources.values())
    code = sum(map(lines_of, sources.values()))
    tests = sum(map(lines_of, python_files(root, ("tests",))))
    return [
        Figure("modules at the package root", len([*(root / "rtsmlm").glob("*.py")]), 7),
        Figure("levels of the import contract", len(contract_levels(root)), 14),
        Figure("circles between files", len(circles), 0, where=tuple(map(" <-> ".join, circles))),
        Figure(
            "lines of the longest file",
            max(lengths.values()),
            LONGEST,
            where=tuple(f"{path.relative_to(root)} has {n}" for path, n in long.items()),
        ),
        Figure("mappings of text to Any", sum(map(any_mappings, sources.values())), 113),
        Figure("lines of tests per line of source", tests / code, 0.6, least=True),
        Figure("public functions with a docstring, %", 100 * documented / public, 92, least=True),
        Figure("files of source", len(sources)),
        Figure("lines of source", code),
    ]


def python_files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Yield the Python files in folders of a checkout."""
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def modules(root: Path) -> dict[str, Path]:
    """Return the file of every module of the package, by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in python_files(root, (folder,)):
            parts = path.relative_to(root / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


def lines_of(path: Path) -> int:
    """Return how many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def any_mappings(path: Path) -> int:
    """Return how often a file says no more of a mapping than that its keys are text."""
    return len(MAPPINGS.findall(path.read_text(encoding="utf-8")))


def contract_levels(root: Path) -> list[str]:
    """Return the levels of the layers contract."""
    setup = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = setup["tool"]["importlinter"]["contracts"]
    return [level for c in contracts if c["type"] == "layers" for level in c["layers"]]


def imports_of(sources: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports outside its functions."""
    found: dict[str, set[str]] = {}
    for name, path in sources.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {target for node in _outside_functions(tree) for target in _targets(node, sources)}
        found[name] = named - {name}
    return found


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _outside_functions(node)


def _targets(node: ast.AST, sources: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in sources)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in sources or node.module in sources:
                yield inner if inner in sources else node.module


def circles_of(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules in which each reaches each by its imports.

    Parameters
    ----------
    imports
        What each module imports.
    """
    reached = {name: _reached(name, imports) for name in imports}
    circles: list[list[str]] = []
    for name in sorted(imports):
        circle = sorted(other for other in reached[name] if name in reached.get(other, ()))
        if circle and circle not in circles:
            circles.append(circle)
    return circles


def _reached(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def documented_functions(paths: Iterable[Path]) -> tuple[int, int]:
    """Return how many public functions and methods have a docstring, and how many there are."""
    functions = [
        node
        for path in paths
        for node in _public_functions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    return sum(ast.get_docstring(node) is not None for node in functions), len(functions)


def _public_functions(scope: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of a module and of its public classes, not those within functions."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node


def main() -> int:
    """Print the figures; return the exit code."""
    found = figures()
    for figure in found:
        print(figure)
        if not figure.met:
            for place in figure.where:
                print(f"    {place}")
    return 0 if all(figure.met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
