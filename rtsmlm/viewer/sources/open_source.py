"""Open the source that an address or a folder stands for."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.viewer.sources.folder_source import FolderSource
from rtsmlm.viewer.sources.stream_source import StreamSource
from rtsmlm.viewer.sources.updates import Source


def open_source(where: str, keys: Path | None = None) -> Source:
    """Return a source of updates.

    Parameters
    ----------
    where
        `tcp://host:port` of a run, or a run folder.
    keys
        Folder with CURVE keys, for a remote run.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if "://" in where:
        return StreamSource(where, keys)
    folder = Path(where)
    if not folder.is_dir():
        raise ConfigError(
            f"{where} is neither an address as tcp://127.0.0.1:5757 nor a run folder that is there"
        )
    return FolderSource(folder)
