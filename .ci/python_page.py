"""The page of the Python interface, made of signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_SECTIONS = re.compile(r"^(Parameters|Returns|Raises|Notes|Yields|Attributes)\n-+\n", re.MULTILINE)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_QUOTED = re.compile(r"(: |-> )\"([^\"]*)\"")
"""Annotations, which are texts until they are asked for."""


def python_page() -> str:
    """Return the page: the names of the package, then the shapes that plug-ins have."""
    import rtsmlm
    from rtsmlm import errors, protocols

    parts = [
        "# Python",
        "Made of the docstrings of the code. What of it keeps its meaning from one version to the "
        "next: [public interface](../api.md).",
        "## Names of the package",
    ]
    for name in sorted(name for name in rtsmlm.__all__ if not name.startswith("__")):
        parts += _entry(f"rtsmlm.{name}", getattr(rtsmlm, name))
    parts += ["## Shapes of plug-ins", "Any object with these methods will do; see the pages "
              "*Extend*."]  # fmt: skip
    for name, thing in _own(protocols):
        parts += _entry(f"rtsmlm.protocols.{name}", thing)
    parts += ["## Errors", "Every error that is raised on purpose; each is a `RtsmlmError`.",
              "| error | when |\n|---|---|\n" + "\n".join(
                  f"| `{name}` | {_first(thing)} |"
                  for name, thing in _own(errors) if name != "RtsmlmError")]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _own(module: Any) -> Iterator[tuple[str, Any]]:
    """Return the public classes that a module defines, by name."""
    for name, thing in sorted(vars(module).items()):
        if inspect.isclass(thing) and thing.__module__ == module.__name__ and name[0] != "_":
            yield name, thing


def members(thing: Any) -> Iterator[tuple[str, Any, str]]:
    """Return public methods and properties that a class defines itself: name, object, text."""
    for name, member in vars(thing).items():
        if name.startswith("_"):
            continue
        inside = member.fget if isinstance(member, property) else member
        inside = getattr(inside, "__func__", inside)
        if inspect.isfunction(inside):
            yield name, member, inspect.getdoc(inside) or ""


def _entry(name: str, thing: Any) -> list[str]:
    parts = [f"### {name}", _signature(name, thing), described(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing):
        for own, member, text in members(thing):
            short = f"{name.rpartition('.')[2]}.{own}"
            if isinstance(member, property):
                parts.append(f"#### {short}\n\n{described(text)}")
            else:
                inside = getattr(member, "__func__", member)
                parts += [f"#### {short}", _signature(short, inside), described(text)]
    return [part for part in parts if part]


def _signature(name: str, thing: Any) -> str:
    """Return how a thing is called; nothing for what is only raised or described."""
    if inspect.isclass(thing) and (
        issubclass(thing, Exception) or getattr(thing, "_is_protocol", False)
    ):
        return ""
    signature = inspect.signature(thing)
    parts = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    text = _plain(f"{name}{signature.replace(parameters=parts)}")
    if len(text) > 88 and parts:
        inner = ",\n".join(textwrap.indent(line, "    ") for line in _arguments(parts))
        back = text.rpartition(") -> ")[2] if ") -> " in text else ""
        text = f"{name}(\n{inner},\n)" + (f" -> {back}" if back else "")
    return f"```text\n{text}\n```"


def _arguments(parts: list[inspect.Parameter]) -> list[str]:
    found, is_named = [], False
    for part in parts:
        if part.kind is part.KEYWORD_ONLY and not is_named:
            found.append("*")
            is_named = True
        found.append(_plain(str(part)))
    return found


def _plain(text: str) -> str:
    return _QUOTED.sub(r"\1\2", _ADDRESS.sub("", text).replace("'", '"'))


def described(text: str) -> str:
    """Return a docstring in Markdown: the sections of numpydoc as tables and paragraphs."""
    parts = _SECTIONS.split(text)
    shown = [parts[0].strip()]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Notes":
            shown.append(body.strip())
        else:
            shown.append(f"**{title}**\n\n" + "\n".join(_items(body)))
    return "\n\n".join(part for part in shown if part)


def _items(body: str) -> Iterator[str]:
    """Return an entry of a list for each name of a section, with what is said of it."""
    for block in re.split(r"\n(?=\S)", body.strip("\n")):
        name, _, about = block.partition("\n")
        said = _line(about)
        label = "" if name.strip() == ":" else f"`{name.strip()}`: "
        yield f"- {label}{said}"


def _first(thing: Any) -> str:
    """Return the first paragraph of a docstring in a line."""
    return _line((inspect.getdoc(thing) or "").partition("\n\n")[0])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
