"""What each page of the documents covers, and whether it was read since that changed.

A page states in its front matter which files it speaks of: `covers: rtsmlm/calibrate configs`.
`docs/covered.json` keeps, for each of these files, a digest of what a reader relies on: names,
arguments, defaults and docstrings of what is public, and keys and values of configurations.
Code below a signature, comments and private names do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path("docs") / "covered.json"
_FRONT = re.compile(r"\A---\ncovers: (.*)\n---\n")
_LEFT_OUT = ("docs/decisions/", "docs/benchmarks/", "docs/models.md")
"""Dated pages, whose text was true when it was written, and those that a measurement writes."""
_MADE = re.compile(r"^Made by `rtsmlm ", re.MULTILINE)
_SPACE = re.compile(r"\s+|,(?=\s*[)\]}])")


def pages(root: Path = ROOT) -> list[Path]:
    """Return the pages that state what they cover; those that a program writes state nothing."""
    found = [*(root / "docs").rglob("*.md"), *(root / "rtsmlm").rglob("help/*.md")]
    return sorted(
        page
        for page in found
        if not page.relative_to(root).as_posix().startswith(_LEFT_OUT)
        and not _MADE.search(page.read_text(encoding="utf-8")[:400])
    )


def front(text: str) -> tuple[list[str], str]:
    """Return what a page covers, and its text without the front matter."""
    match = _FRONT.match(text)
    return (match[1].split(), text[match.end() :].lstrip("\n")) if match else ([], text)


def files_of(covers: list[str], root: Path = ROOT) -> list[Path]:
    """Return the files below what a page covers.

    Raises
    ------
    FileNotFoundError
        If there is none of a name.
    """
    found: set[Path] = set()
    for name in covers:
        place = root / name
        if not place.exists():
            raise FileNotFoundError(f"there is no {name}")
        inside = place.rglob("*.py") if place.is_dir() else [place]
        found |= {path for path in inside if path.name == "__init__.py" or path.stem[0] != "_"}
    return sorted(found)


def digest(path: Path) -> str:
    """Return a short digest of what a reader of a file relies on."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        relied_on = "\n".join(relied_on_in(text))
    elif path.suffix == ".toml":
        relied_on = json.dumps(tomllib.loads(text), sort_keys=True, default=str)
    else:
        relied_on = text
    return hashlib.sha256(relied_on.encode()).hexdigest()[:12]


def relied_on_in(source: str) -> list[str]:
    """Return signatures, defaults and docstrings of what is public in a module, a line each."""
    lines = source.encode().splitlines(keepends=True)
    tree = ast.parse(source)
    return [f"module {_doc(tree)}", *_body(tree, lines, "")]


def _body(node: ast.Module | ast.ClassDef, lines: list[bytes], prefix: str) -> Iterator[str]:
    for k, child in enumerate(node.body):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if _is_public(child.name) or child.name == "__init__":
                end = child.body[0]
                yield f"{prefix}{_head(child, end, lines)} {_doc(child)}"
        elif isinstance(child, ast.ClassDef) and _is_public(child.name):
            yield f"{prefix}{_head(child, child.body[0], lines)} {_doc(child)}"
            yield from _body(child, lines, f"{prefix}{child.name}.")
        elif isinstance(child, ast.AnnAssign | ast.Assign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            if all(isinstance(one, ast.Name) and _is_public(one.id) for one in targets):
                text = _between(child.lineno, child.col_offset, child.end_lineno,
                                child.end_col_offset, lines)  # fmt: skip
                below = node.body[k + 1] if k + 1 < len(node.body) else None
                yield f"{prefix}{text} {_text(below)}"


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _head(node: ast.stmt, first: ast.stmt, lines: list[bytes]) -> str:
    return _between(node.lineno, node.col_offset, first.lineno, first.col_offset, lines)


def _between(
    line: int, column: int, end: int | None, end_column: int | None, lines: list[bytes]
) -> str:
    """Return source without white space, as one formatter or another may set it."""
    end, end_column = end or line, end_column or 0
    if line == end:
        return _SPACE.sub("", lines[line - 1][column:end_column].decode())
    parts = [lines[line - 1][column:], *lines[line : end - 1], lines[end - 1][:end_column]]
    return _SPACE.sub("", re.sub(r"#[^\n]*\n", "\n", b"".join(parts).decode()))


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return " ".join((ast.get_docstring(node) or "").split())


def _text(node: ast.stmt | None) -> str:
    """Return the text below a field, where there is one."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def record_of(page: Path, root: Path = ROOT) -> dict[str, str]:
    """Return the digests of all files that a page covers, by their names."""
    covers, _ = front(page.read_text(encoding="utf-8"))
    return {path.relative_to(root).as_posix(): digest(path) for path in files_of(covers, root)}


def read_record(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Return what was recorded when each page was read last."""
    path = root / RECORD
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write_record(record: dict[str, dict[str, str]], root: Path = ROOT) -> None:
    """Write the record, a line for each file, so that two changes rarely meet in one line."""
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    (root / RECORD).write_text(text + "\n", encoding="utf-8")


def due(root: Path = ROOT) -> dict[str, list[str]]:
    """Return the pages that are to be read again, with the files that have changed since."""
    record, found = read_record(root), {}
    for page in pages(root):
        name = page.relative_to(root).as_posix()
        was, now = record.get(name, {}), record_of(page, root)
        changed = sorted(path for path in {*was, *now} if was.get(path) != now.get(path))
        if changed or not now:
            found[name] = changed
    return found
