"""Options that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one setting: section.key=value. May be repeated."),
]
Exports: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Also write csv, picasso, parquet, smappy, smap, decode, smlm (separate by commas)."
    ),
]
SideBySide: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--side-by-side", help="The movies are of several cameras, given from left to right."
    ),
]
Localizers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Localizer by name, with a precision as in auto:int8; may be repeated."),
]
Peers: TypeAlias = Annotated[bool, typer.Option(help="Measure Picasso and smappy, too.")]
PicassoPython: TypeAlias = Annotated[
    Path | None, typer.Option(help="Interpreter in which Picasso is installed.")
]
SmappyPython: TypeAlias = Annotated[
    Path | None, typer.Option(help="Interpreter in which smappy is installed.")
]
Markdown: TypeAlias = Annotated[Path | None, typer.Option(help="Write the page there, too.")]
JsonPath: TypeAlias = Annotated[
    Path | None, typer.Option("--json", help="Write all figures there, too.")
]
