"""Open the source that an address or a folder stands for."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.viewer.sources.folder_source import FolderSource
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.sources.table_source import TableSource
from rtsmlm.viewer.sources.updates import Source


def open_source(where: str, keys: Path | None = None) -> Source:
    """Return a source of updates.

    Parameters
    ----------
    where
        `tcp://host:port` of a run, a run folder, or a table of localizations.
    keys
        Folder with CURVE keys, for a remote run.

    Raises
    ------
    ConfigError
        If it is none of them.
    FileFormatError
        If it is a file, and no table.
    """
    if "://" in where:
        return StreamSource(where, keys)
    folder = Path(where)
    if folder.is_file():
        return TableSource(folder)
    if not folder.is_dir():
        raise ConfigError(
            f"{where} is neither an address as tcp://127.0.0.1:5757 nor a run folder or table that "
            "is there"
        )
    return FolderSource(folder)
