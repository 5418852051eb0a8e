"""Log lines quote names and texts that others wrote: control characters in them are written out."""

from __future__ import annotations

import logging

from rtsmlm.errors import printable


class PrintableFormatter(logging.Formatter):
    """Formatter whose message is one line, whatever it quotes; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        """Return a traceback."""
        return printable(super().formatException(ei), keep="\n")  # type: ignore[arg-type]


def handler_to_stderr(line_format: str) -> logging.Handler:
    """Return a handler that writes such lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(line_format))
    return handler
