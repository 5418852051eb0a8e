"""A terminal takes text that others wrote: control characters in it are written out."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from rtsmlm.errors import printable


class PrintableConsole(Console):
    """Console whose content holds no control characters but line breaks.

    Names of files, devices and models, and texts of foreign errors, may hold escape sequences,
    which a terminal obeys. Here all that is printed passes, cells of tables included; colours and
    the moves of progress bars are added after it.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of what is printed, without control characters in their text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)
