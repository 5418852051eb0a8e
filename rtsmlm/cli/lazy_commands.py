"""Commands that are listed without being imported: their modules load when they are run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class LazyCommand(TyperCommand):
    """A command as its group lists it: a name and a sentence.

    Parameters
    ----------
    name
        What the user types.
    target
        `module:attribute` of the function, or of the `typer.Typer` of a group.
    sentence
        First paragraph of its help, so that listing imports nothing.
    """

    def __init__(self, name: str, target: str, sentence: str) -> None:
        super().__init__(name, help=sentence, callback=None, rich_markup_mode="markdown")
        self.target = target

    def load(self) -> TyperCommand | TyperGroup:
        """Import the module of the command and return the command itself."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
            alone.command(self.name)(found)
            found = alone
        command: TyperCommand | TyperGroup = get_command(found)  # type: ignore[assignment]
        command.name = self.name
        return command


def lazy_group(table: Mapping[str, tuple[str, str]]) -> type[TyperGroup]:
    """Return the class of a group whose commands are imported when they are run.

    Parameters
    ----------
    table
        By the name of the command: where it is (`module:attribute`), and the sentence that lists
        it.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            for name, (target, sentence) in table.items():
                self.add_command(LazyCommand(name, target, sentence))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, command, rest = super().resolve_command(ctx, args)
            return name, command.load() if isinstance(command, LazyCommand) else command, rest

    return LazyGroup
