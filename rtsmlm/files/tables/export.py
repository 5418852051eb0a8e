"""Write a table in the formats of other programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.arrow_file import iter_arrow_batches, read_arrow_metadata, read_arrow_table
from rtsmlm.files.tables.columns import ROWS_PER_BLOCK, checked_metadata, in_blocks, known_columns
from rtsmlm.files.tables.parquet import write_parquet
from rtsmlm.files.tables.read import RUN_TABLE, Table, frames_of_run
from rtsmlm.files.tables.smlm import write_smlm
from rtsmlm.files.tables.thunderstorm import write_csv
from rtsmlm.localizations import Localizations

FILE_NAMES: dict[str, str] = {
    "csv": "localizations.csv",
    "picasso": "localizations.hdf5",
    "parquet": "localizations.parquet",
    "smappy": "localizations_smappy.hdf5",
    "smap": "localizations_sml.mat",
    "decode": "localizations.h5",
    "smlm": "localizations.smlm",
}


def export(
    source: Path | Table,
    formats: Iterable[str],
    folder: Path,
    pixel_nm: float | None = None,
) -> list[Path]:
    """Write a table in other formats, in order of frames.

    A table on disk is passed batch by batch, so that its size does not matter; only where its
    frames are out of order (rows caught up after the run) is it sorted in memory first.

    Parameters
    ----------
    source
        A run folder, its `localizations.arrows`, or a table in memory.
    formats
        csv (ThunderSTORM), picasso, parquet, smappy, smap, decode, smlm (ShareLoc).
    folder
        Where the files `localizations.*` go; replaced if there.
    pixel_nm
        Camera pixel, where the table does not state it.

    Returns
    -------
    :
        The files written, one per format.

    Raises
    ------
    FileFormatError
        If the source cannot be read.
    ConfigError
        If a format is unknown, or needs a pixel size that is not stated.
    SinkError
        If a file cannot be written.
    """
    formats = list(dict.fromkeys(formats))
    unknown = [name for name in formats if name not in FILE_NAMES]
    if unknown:
        raise ConfigError(f"no export format {unknown[0]!r}; there are {', '.join(FILE_NAMES)}")
    batches, metadata = _opened(source)
    if pixel_nm is not None:
        metadata["pixel_nm"] = pixel_nm
    known = known_columns(batches())
    paths = []
    for name in formats:
        path = folder / FILE_NAMES[name]
        try:
            _write(name, path, batches, metadata, known)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()  # half a table would be taken for a whole one
            raise
        paths.append(path)
    return paths


def _write(
    name: str,
    path: Path,
    batches: Callable[[], Iterator[Localizations]],
    metadata: dict[str, object],
    known: frozenset[str],
) -> None:
    if name == "csv":
        write_csv(path, batches(), metadata, known)
    elif name == "picasso":
        # Not with this module: a compute node that trains networks needs no YAML.
        from rtsmlm.files.tables.picasso import write_picasso

        write_picasso(path, batches(), metadata, known)
    elif name == "parquet":
        write_parquet(path, batches(), metadata)
    elif name == "smlm":
        write_smlm(path, batches(), metadata, known)
    else:
        from rtsmlm.files.tables import hdf5_writers

        write = {
            "smappy": hdf5_writers.write_smappy,
            "smap": hdf5_writers.write_smap,
            "decode": hdf5_writers.write_decode,
        }[name]
        write(path, batches(), metadata, known)


def _opened(
    source: Path | Table,
) -> tuple[Callable[[], Iterator[Localizations]], dict[str, object]]:
    """Return a function that starts the ordered batches anew, and the metadata."""
    if isinstance(source, Table):
        return _in_memory(source.localizations), _plain(source.metadata)
    path = source / RUN_TABLE if source.is_dir() else source
    metadata = _plain(read_arrow_metadata(path))
    if "n_frames" not in metadata and (n_frames := frames_of_run(path.parent)):
        metadata["n_frames"] = n_frames
    if _is_ordered(iter_arrow_batches(path)):
        return lambda: in_blocks(iter_arrow_batches(path)), metadata
    return _in_memory(read_arrow_table(path)[0]), metadata


def _in_memory(localizations: Localizations) -> Callable[[], Iterator[Localizations]]:
    if not _is_ordered([localizations]):
        localizations = localizations.sorted_by_frame()
    starts = range(0, len(localizations), ROWS_PER_BLOCK)
    return lambda: (localizations.take(slice(k, k + ROWS_PER_BLOCK)) for k in starts)


def _is_ordered(batches: Iterable[Localizations]) -> bool:
    last = -1
    for batch in batches:
        if len(batch) and (batch.frame[0] < last or np.any(np.diff(batch.frame) < 0)):
            return False
        last = int(batch.frame[-1]) if len(batch) else last
    return True


def _plain(metadata: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in checked_metadata(metadata).items() if key != "format"}
