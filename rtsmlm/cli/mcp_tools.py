"""The tools of `rtsmlm mcp`. Imported where the package mcp is installed: its types are needed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from mcp.server.mcpserver import Image, MCPServer
from mcp.types import ToolAnnotations

from rtsmlm.viewer.docs_search import search_documents
from rtsmlm.viewer.outside_view import OutsideView


def add_tools(server: MCPServer, view: OutsideView) -> MCPServer:
    """Give a server its tools; all of them read.

    Parameters
    ----------
    server
        A server without tools.
    view
        The run that is asked about.
    """
    tool = server.tool(annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False))

    def as_text(value: object) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False)

    def status() -> str:
        """Frames, rates, latency, lasers, disk and notices of the run, as JSON."""
        return as_text(view.status())

    def density(estimates: int = 60) -> str:
        """Give the newest estimates of the emitter density, per frame and um2, as JSON."""
        return as_text(view.density(estimates))

    def ledger() -> str:
        """Tell what became of every frame, received to localized, skipped or lost, as JSON."""
        return as_text(view.ledger())

    def resolution() -> str:
        """Resolution in nm (FRC, decorrelation), and precision (NeNA), as JSON."""
        return as_text(view.resolution())

    def validity() -> str:
        """Whether PSF, camera and localizer fit the data, with what was found, as JSON."""
        return as_text(view.validity())

    def last_image(kind: Literal["localizations", "camera"] = "localizations") -> Image:
        """Show all localizations so far, or the newest camera frame, as PNG."""
        return Image(data=view.last_image(kind), format="png")

    def search_docs(query: str, most: int = 5) -> str:
        """Search the documents of rtsmlm; sections that hold most of the words, best first."""
        return as_text([asdict(passage) for passage in search_documents(query, most)])

    for function in (status, density, ledger, resolution, validity, last_image, search_docs):
        tool(function)
    return server
