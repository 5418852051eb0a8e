"""Pages of the site that are made when it is built, and links that lead out of `docs`.

A hook of mkdocs (`mkdocs.yml`). README, glossary and changelog lie where a reader of the repository
looks for them; the reference is made of the code, so that it cannot be out of date.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parent))
from python_page import python_page  # beside this file

ROOT = Path(__file__).resolve().parents[1]
MOVED = {
    "README.md": "index.md",
    "GLOSSARY.md": "glossary.md",
    "CHANGELOG.md": "changelog.md",
    "rtsmlm/viewer/help/window.md": "window.md",
    "rtsmlm/viewer/help/theory.md": "theory.md",
}
"""Files of the repository that are pages of the site, by their names there."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_LONGEST_DEFAULT = 60


def generated() -> dict[str, str]:
    """Return the text of each page that is made, by its place in the site."""
    pages = {}
    for old, new in MOVED.items():
        root = "../" * old.count("/")
        text = (ROOT / old).read_text(encoding="utf-8").replace(f"]({root}docs/", "](")
        pages[new] = text.replace(f"]({root}", "](") if root else text
    pages["reference/commands.md"] = commands_page()
    pages["reference/settings.md"] = settings_page()
    pages["reference/columns.md"] = columns_page()
    pages["reference/python.md"] = python_page()
    return pages


def commands_page() -> str:
    """Return the page of all commands, with the options of each."""
    from rtsmlm.cli import COMMANDS
    from rtsmlm.cli.lazy_commands import LazyCommand

    parts = ["# Commands", "`rtsmlm COMMAND --help` says the same in the terminal."]
    for name, (target, sentence) in COMMANDS.items():
        parts += [f"## rtsmlm {name}", sentence]
        command: Any = LazyCommand(name, target, sentence).load()
        below = getattr(command, "commands", {})
        for sub, one in below.items():
            parts += [f"### rtsmlm {name} {sub}", str(one.help or "")]
            parts.append(_options(one.params))
        if not below:
            parts.append(_options(command.params))
    return "\n\n".join(part for part in parts if part) + "\n"


def _options(params: list[Any]) -> str:
    rows = [
        f"| `{' '.join(param.opts) if param.param_type_name == 'option' else param.name.upper()}` "
        f"| {_cell(str(getattr(param, 'help', '') or ''))} |"
        for param in params
        if param.name != "help"
    ]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def settings_page() -> str:
    """Return the page of all settings, with type, default and meaning of each."""
    from rtsmlm.settings.run import RunSettings

    parts = [
        "# Settings",
        "Every key of a configuration (TOML), and of `--set section.key=value`. Units stand in the "
        "names.",
    ]
    for name, field in RunSettings.model_fields.items():
        if isinstance(field.default, BaseModel):
            parts.append(f"## [{name}]")
            parts.append((type(field.default).__doc__ or "").strip())
            parts.append(_settings_table(type(field.default)))
    return "\n\n".join(parts) + "\n"


def _settings_table(model: type[BaseModel]) -> str:
    meanings = _meanings(model)
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        shown = f"`{_cell(default)}`" if default and len(default) <= _LONGEST_DEFAULT else ""
        rows.append(f"| `{name}` | {shown} | {_cell(meanings.get(name, ''))} |")
    return "\n".join(rows)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the texts below the fields of a class, and of those that it is made of."""
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def columns_page() -> str:
    """Return the page of the table's columns, as the code describes them."""
    from rtsmlm import localizations

    text = (localizations.__doc__ or "").strip()
    names = list(localizations.Localizations.empty().columns())
    listed = "\n".join(f"- `{name}`" for name in names)
    about = (localizations.Localizations.__doc__ or "").strip()
    return f"# Columns of the table\n\n{text}\n\n{about}\n\nIn this order:\n\n{listed}\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def inside(markdown: str, uri: str, known: set[str]) -> str:
    """Return a page whose links stay in the site; of a file that is none of its pages, the name.

    Parameters
    ----------
    markdown
        The page.
    uri
        Its place in the site.
    known
        Places of all pages and pictures.
    """

    def link(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(uri), target))
        if uri in MOVED.values():
            place = posixpath.normpath(posixpath.join("docs", target))
            if place.removeprefix("docs/") not in known:
                place = posixpath.normpath(target)
        page = MOVED.get(place, place.removeprefix("docs/"))
        if page in known:
            there = posixpath.relpath(page, posixpath.dirname(uri) or ".")
            return f"{mark}[{text}]({there}{anchor})"
        return text if f"`{place}`" in text or "`" in text else f"{text} (`{place}`)"

    return _LINK.sub(link, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for uri, text in generated().items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let the links of a page stay in the site."""
    known = {file.src_uri for file in files}
    return inside(markdown, page.file.src_uri, known)
