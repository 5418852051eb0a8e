"""Reading of all localization tables: the content decides the format, not the name."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import LARGEST_FRAME, MAX_METADATA_BYTES
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.files.tables.arrow_messages import MARK
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import checked_metadata
from rtsmlm.files.tables.insight3 import MAGIC as INSIGHT3
from rtsmlm.files.tables.insight3 import read_insight3
from rtsmlm.files.tables.parquet import read_parquet
from rtsmlm.files.tables.qc_storm import FILE_NAME as QC_STORM
from rtsmlm.files.tables.qc_storm import read_qc_storm
from rtsmlm.files.tables.smlm import is_smlm, read_smlm
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.text_lines import is_utf16
from rtsmlm.files.tables.text_table import read_text_table
from rtsmlm.localizations import Localizations

log = logging.getLogger(__name__)

RUN_TABLE = "localizations.arrows"
"""Name of the table in a run folder."""

_ZIP = b"PK\x03\x04"
_PACKED = {
    _ZIP: "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\x1f\x8b": "compressed by gzip; unpack it",
}
"""Files that hold a table which rtsmlm does not take out of them, by their first bytes."""


@dataclass(frozen=True, slots=True)
class Table:
    """Localizations with the metadata of their file."""

    localizations: Localizations
    metadata: Metadata
    """Keys as in `rtsmlm.files.tables.arrow_schema`, plus `format`, the name of the format."""
    notes: tuple[str, ...] = ()
    """What the user should know: how many rows were left out, and why."""


def read_table(path: Path, pixel_nm: float | None = None) -> Table:
    """Read localizations or a truth table of any known format, or those of a run folder.

    Frames and origin become ours, whatever the format counts from. Rows that can be no
    localizations are left out; `notes` of the table says how many.

    Parameters
    ----------
    path
        A file, or a run folder.
    pixel_nm
        Camera pixel, where the file does not state it; wins over what it states.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of an unknown format or larger in memory than its size
        allows, or needs `pixel_nm`.
    """
    if path.is_dir():
        path = path / RUN_TABLE
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    check = RowCheck(path)
    # What is no number stays none through all arithmetic, and its row is left out.
    with np.errstate(invalid="ignore", over="ignore"):
        localizations, stated, name = _read(path, start, pixel_nm, check)
    for note in () if name == "arrow" else check.notes():  # that of Arrow is logged as it is read
        log.warning("%s", note)
    metadata = checked_metadata(stated)
    if pixel_nm is not None:
        metadata["pixel_nm"] = pixel_nm
    if "n_frames" not in metadata and (n_frames := frames_of_run(path.parent)):
        metadata["n_frames"] = n_frames
    return Table(localizations, {**metadata, "format": name}, check.notes())


def _read(
    path: Path, start: bytes, pixel_nm: float | None, check: RowCheck
) -> tuple[Localizations, Metadata, str]:
    if not start:
        raise FileFormatError(f"{path} is empty")
    if start.startswith(MARK):
        return *read_arrow_table(path, check), "arrow"
    if start.startswith(b"PAR1"):
        return *read_parquet(path, check), "parquet"
    if start.startswith((b"\x89HDF", b"MATLAB 7")):  # MATLAB puts HDF5 behind a text of its own
        # Not with this module: a compute node that trains networks needs no YAML.
        from rtsmlm.files.tables.hdf5_columns import read_hdf5

        return read_hdf5(path, pixel_nm, check)
    if start.startswith(b"MATLAB"):
        raise FileFormatError(
            f"{path} is a MATLAB file of an old version; save it again with -v7.3, or export the "
            "localizations as csv"
        )
    if start.startswith(INSIGHT3):
        return *read_insight3(path, pixel_nm, check), "insight3"
    if start.startswith(_ZIP) and (path.suffix.lower() == ".smlm" or is_smlm(path)):
        return *read_smlm(path, pixel_nm, check), "smlm"
    for mark, what in _PACKED.items():
        if start.startswith(mark):
            raise FileFormatError(f"{path} is {what}")
    if QC_STORM.search(path.name):
        return *read_qc_storm(path, pixel_nm, check), "qc-storm"
    if b"\0" in start and not is_utf16(start):
        raise FileFormatError(
            f"{path} is no known table of localizations; there are localizations.arrows, Parquet, "
            "HDF5 of Picasso, SMAP (_sml.mat), DECODE and smappy, .smlm, Insight3 .bin, and text "
            "tables"
        )
    return *read_text_table(path, pixel_nm, check), "csv"


def frames_of_run(folder: Path) -> int | None:
    """Return how many frames the camera gave, by the ledger in a run folder; None without one."""
    try:
        path = folder / "ledger.json"
        if path.stat().st_size > MAX_METADATA_BYTES:
            return None
        totals = json.loads(path.read_text(encoding="utf-8"))
        n_frames = int(totals["received"]) + int(totals["lost"])
    except (OSError, ValueError, OverflowError, TypeError, KeyError, RecursionError):
        return None
    return n_frames if 0 <= n_frames <= LARGEST_FRAME else None
