"""Localization tables as text: ThunderSTORM CSV, and the truth tables of benchmark data.

In all of them frames count from 1 and x, y are nm from the outer corner of pixel (0, 0), whose
centre is therefore at half a pixel. Ours count frames from 0 from the centre of that pixel, so
reading and writing shift by one frame and half a camera pixel. The pixel is stated by the protocol
file that ThunderSTORM writes beside a table (`<name>-protocol.txt`), and so do we; a table without
one needs it from the user. One exception: Picasso's export to this format counts frames from 0 from
the centre of pixel (0, 0); its header is recognised.

Known headers besides ThunderSTORM's: the localization challenges (`Ground-truth,frame,xnano,...`,
and their six columns without header), and `No,Frame,Emitter,x (nm),...`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as pa_csv

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import (
    generator_name,
    needed_pixel_nm,
    positive,
    replacing,
    table_from,
)
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.localizations import Localizations

READS = {
    "frame": ("frame",),
    "x_nm": ("x [nm]", "xnano"),
    "y_nm": ("y [nm]", "ynano"),
    "z_nm": ("z [nm]", "znano"),
    "photons": ("intensity [photon]", "intensity"),
    "background": ("offset [photon]",),
    "std_x_nm": ("uncertainty_x [nm]", "uncertainty_xy [nm]", "uncertainty [nm]"),
    "std_y_nm": ("uncertainty_y [nm]", "uncertainty_xy [nm]", "uncertainty [nm]"),
    "std_z_nm": ("uncertainty_z [nm]",),
    "std_photons": ("uncertainty_intensity [photon]",),
    "probability": ("probability",),
    "channel": ("channel",),
}
"""Header names that a column is read from, the first present one wins."""

WRITES = {
    "z_nm": "z [nm]",
    "photons": "intensity [photon]",
    "background": "offset [photon]",
    "std_x_nm": "uncertainty_x [nm]",
    "std_y_nm": "uncertainty_y [nm]",
    "std_z_nm": "uncertainty_z [nm]",
    "std_photons": "uncertainty_intensity [photon]",
    "probability": "probability",
    "channel": "channel",
}
"""Header names of the columns that are written unchanged."""

HEADERLESS = ["id", "frame", "xnano", "ynano", "znano", "intensity"]
PICASSO_EXPORT = re.compile(
    r"id,frame,x \[nm\],y \[nm\],(sigma|z \[nm\],sigma1 \[nm\],sigma2) \[nm\],intensity \[photon\],"
    r"offset \[photon\],bkgstd \[photon\],uncertainty_xy \[nm\](,detections)?"
)
LONGEST_HEADER = 1 << 16


def write_csv(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, object],
    known: frozenset[str],
) -> None:
    """Write a ThunderSTORM table and its protocol file, batch by batch.

    Parameters
    ----------
    path
        Where to; replaced if there.
    batches
        The rows.
    metadata
        Must hold `pixel_nm`; `psf_sigma_nm` fills the sigma columns.
    known
        Columns worth writing, as `known_columns` gives them.

    Raises
    ------
    ConfigError
        If the pixel size is unknown.
    SinkError
        If the file cannot be written.
    """
    pixel_nm = needed_pixel_nm(metadata, "a ThunderSTORM table")
    sigma_nm = positive(metadata.get("psf_sigma_nm"))
    first_id = 1
    writer: Any = None
    with replacing(path) as part:
        try:
            # The empty first batch writes the header of a table without rows.
            for batch in chain([Localizations.empty()], batches):
                columns = _text_columns(batch, pixel_nm, sigma_nm, known, first_id)
                record = pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in columns.items()})
                if writer is None:
                    writer = pa_csv.CSVWriter(str(part), record.schema)
                writer.write_batch(record)
                first_id += len(batch)
        finally:
            if writer is not None:
                writer.close()
    with replacing(_protocol_path(path)) as part:
        camera = {"pixelSize": pixel_nm}
        protocol = {
            "version": generator_name(),
            "cameraSettings": camera,
            "rtsmlm": dict(metadata),
        }
        part.write_text(json.dumps(protocol, indent=2), encoding="utf-8")


def _text_columns(
    batch: Localizations,
    pixel_nm: float,
    sigma_nm: float | None,
    known: frozenset[str],
    first_id: int,
) -> dict[str, NDArray[Any]]:
    n = len(batch)
    columns: dict[str, NDArray[Any]] = {
        "id": np.arange(first_id, first_id + n),
        "frame": batch.frame + 1,
        # Rounded to 0.1 pm: below the spacing of float32 in all but the first pixels.
        "x [nm]": np.round(batch.x_nm.astype(np.float64) + pixel_nm / 2, 4),
        "y [nm]": np.round(batch.y_nm.astype(np.float64) + pixel_nm / 2, 4),
    }
    unchanged = {name: text for name, text in WRITES.items() if name in known}
    if "z_nm" in unchanged:
        columns[unchanged.pop("z_nm")] = batch.z_nm
    if sigma_nm is not None:
        names = ["sigma1 [nm]", "sigma2 [nm]"] if "z_nm" in known else ["sigma [nm]"]
        columns |= {name: np.full(n, sigma_nm) for name in names}
    for name in ("photons", "background"):
        if name in unchanged:
            columns[unchanged.pop(name)] = getattr(batch, name)
    if "std_x_nm" in known:
        # The format knows one lateral uncertainty: the root mean square of both axes.
        columns["uncertainty_xy [nm]"] = np.sqrt((batch.std_x_nm**2 + batch.std_y_nm**2) / 2)
    columns |= {text: getattr(batch, name) for name, text in unchanged.items()}
    return columns


def read_csv(
    path: Path, pixel_nm: float | None = None, check: RowCheck | None = None
) -> tuple[Localizations, Metadata]:
    """Read any text table named in the docstring of this module.

    Parameters
    ----------
    path
        The table.
    pixel_nm
        Camera pixel; not given takes it from the protocol file beside the table.
    check
        Counts the rows that are left out; not given counts them for the error alone.

    Raises
    ------
    FileFormatError
        If the table is damaged or of another kind, or the pixel size is not known.
    """
    header, delimiter, n_skip = _header(path)
    positions = {
        name: header.index(next(text for text in texts if text in header))
        for name, texts in READS.items()
        if any(text in header for text in texts)
    }
    missing = {"frame", "x_nm", "y_nm"} - positions.keys()
    if missing:
        raise FileFormatError(
            f"{path} lacks {', '.join(sorted(missing))}; its columns are {', '.join(header)[:200]}"
        )
    metadata = _protocol(path)
    pixel_nm = pixel_nm or positive(metadata.get("pixel_nm"))
    centred_from_0 = n_skip == 1 and _is_picasso_export(path)
    if pixel_nm is None and not centred_from_0:
        raise FileFormatError(
            f"{path} counts nm from the corner of the image, which needs the camera pixel, "
            "and no protocol file states it; give --pixel-nm"
        )
    columns = _columns(path, len(header), positions, delimiter, n_skip)
    if pixel_nm is not None:
        metadata["pixel_nm"] = pixel_nm
    if not centred_from_0 and pixel_nm is not None:
        columns["frame"] = columns["frame"] - 1
        columns["x_nm"] = columns["x_nm"] - pixel_nm / 2
        columns["y_nm"] = columns["y_nm"] - pixel_nm / 2
    return table_from(columns, check or RowCheck(path)), metadata


def _header(path: Path) -> tuple[list[str], str, int]:
    """Return the column names in their common spelling, the delimiter, and the lines to skip."""
    line = _first_line(path)
    delimiter = max(",;\t", key=line.count)
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        raise FileFormatError(f"{path} does not begin with a line of column names") from error
    if len(names) == len(HEADERLESS) and all(_is_number(name) for name in names):
        return HEADERLESS, delimiter, 0
    # "x (nm)" and "Intensity (photons)" are ThunderSTORM's "x [nm]" and "intensity [photon]".
    common = [re.sub(r"\((\w+?)s?\)", r"[\1]", name.strip().lower()) for name in names]
    return common, delimiter, 1


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.readline(LONGEST_HEADER)
        return start.decode("utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no text table that can be read: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_picasso_export(path: Path) -> bool:
    return PICASSO_EXPORT.fullmatch(_first_line(path)) is not None


def _columns(
    path: Path, n_columns: int, positions: Mapping[str, int], delimiter: str, n_skip: int
) -> dict[str, NDArray[Any]]:
    # Names by position, since foreign tables may hold one name twice.
    names = [str(k) for k in range(n_columns)]
    wanted = sorted(set(positions.values()))
    try:
        # A file, not its name: by a name that ends in .gz or .bz2 it would be decompressed.
        with pa.OSFile(str(path), "rb") as file:
            table = pa_csv.read_csv(
                file,
                read_options=pa_csv.ReadOptions(column_names=names, skip_rows=n_skip),
                parse_options=pa_csv.ParseOptions(delimiter=delimiter),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=[str(k) for k in wanted],
                    column_types={str(k): pa.float64() for k in wanted},
                ),
            )
    except pa.ArrowInvalid as error:
        if n_skip and "Empty CSV" in str(error):
            return {name: np.empty(0) for name in positions}
        raise FileFormatError(f"{path} is damaged: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(f"cannot read {path}: {error}") from error
    arrays = {k: table.column(str(k)).to_numpy() for k in wanted}
    return {name: arrays[position] for name, position in positions.items()}


def _protocol_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-protocol.txt")


def _protocol(path: Path) -> Metadata:
    """Return what the protocol file beside a table states; nothing where there is none."""
    protocol_path = _protocol_path(path)
    if not protocol_path.is_file():
        return {}
    try:
        if protocol_path.stat().st_size > MAX_METADATA_BYTES:
            raise ValueError(f"it has {protocol_path.stat().st_size} bytes")
        protocol = json.loads(protocol_path.read_text(encoding="utf-8"))
        stated = dict(protocol.get("rtsmlm", {}))
        pixel_nm = positive(protocol.get("cameraSettings", {}).get("pixelSize"))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"cannot read the protocol file {protocol_path}: {error}") from error
    return stated if pixel_nm is None else {**stated, "pixel_nm": pixel_nm}
