"""A message that tells which setting to change names one that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from rtsmlm.settings.run import RunSettings

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("rtsmlm/**/*.py"), *ROOT.glob("drivers/**/*.py")])
SECTIONS = [
    name for name, field in RunSettings.model_fields.items() if isinstance(field.default, BaseModel)
]
NAMED = re.compile(rf"(?<![\w./`-])({'|'.join(SECTIONS)})((?:\.[a-z_0-9]+)+)")
"""A setting in running text; a path or a file, as camera.toml, is none."""
FILE_ENDS = (
    "toml",
    "csv",
    "json",
    "npy",
    "py",
    "log",
    "html",
    "svg",
    "tif",
    "png",
    "cfg",
    "npz",
    "inf",
)


def said(tree: ast.AST) -> Iterator[str]:
    """Texts that the code raises, warns of or prints: all that are no docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "\0" for part in node.values
            )


def exists(section: str, names: list[str]) -> bool:
    model: object = RunSettings.model_fields[section].default
    for name in names:
        if not isinstance(model, BaseModel):
            return True  # a table with names of the user's own
        if name not in type(model).model_fields:
            return False
        model = type(model).model_fields[name].default
    return True


def test_every_setting_that_a_message_names_exists() -> None:
    wrong = {
        f"{path.relative_to(ROOT).as_posix()}: {section}{rest}"
        for path in FILES
        for text in said(ast.parse(path.read_text(encoding="utf-8")))
        for section, rest in NAMED.findall(text)
        if rest.rsplit(".", 1)[-1] not in FILE_ENDS
        and not exists(section, [name for name in rest.split(".") if name])
    }

    assert wrong == set()


def test_a_setting_that_does_not_exist_would_be_found() -> None:
    named = NAMED.findall("give camera.roi, camera.maps.roi or micromanager.properties")

    assert [exists(section, rest[1:].split(".")) for section, rest in named] == [False, True, True]
