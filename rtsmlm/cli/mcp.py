"""`rtsmlm mcp`: a run for programs that speak MCP, over standard input and output; read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtsmlm import __version__
from rtsmlm.errors import ConfigError
from rtsmlm.settings.installation import install_line

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

ADDRESS = "tcp://127.0.0.1:5757"
_ABOUT = (
    "Live single-molecule localization microscopy. All tools read: none commands a laser, a stage, "
    "a camera or the run. Densities are emitters per frame and um2, lengths nm."
)


def mcp(
    where: Annotated[
        str, typer.Argument(help="Address of a run (tcp://host:port), or a run folder.")
    ] = ADDRESS,
    keys: Annotated[
        Path | None,
        typer.Option(help="Folder with server.key and client.key_secret, for a remote run."),
    ] = None,
) -> None:
    """Answer programs that speak MCP about a run: status, density, image, documents; read-only.

    It reads the stream or the run folder as a window does, and has no command to any device.
    """
    from rtsmlm.viewer.outside_view import OutsideView
    from rtsmlm.viewer.sources.open_source import open_source

    make_server = _server_class()
    from rtsmlm.cli.mcp_tools import add_tools

    view = OutsideView(open_source(where, keys))
    try:
        add_tools(make_server("rtsmlm", instructions=_ABOUT, version=__version__), view).run(
            "stdio"
        )
    finally:
        view.close()


def _server_class() -> Callable[..., MCPServer]:
    """Return the class of servers.

    Raises
    ------
    ConfigError
        If the package is not installed.
    """
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError as error:
        raise ConfigError(
            f"rtsmlm mcp needs the package mcp, version 2 or later: {install_line('mcp')}"
        ) from error
    make: Callable[..., MCPServer] = MCPServer
    return make
