"""Writing of ThunderSTORM tables, and the protocol file beside them; `text_table` reads.

Frames count from 1 and x, y are nm from the outer corner of pixel (0, 0), whose centre is therefore
at half a pixel. Ours count frames from 0 from the centre of that pixel, so writing shifts by one
frame and half a camera pixel. The pixel is stated by the protocol file that ThunderSTORM writes
beside a table (`<name>-protocol.txt`), and so do we.
"""

from __future__ import annotations

import json
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
from rtsmlm.files.tables.arrow_schema import Metadata, extra_columns_of
from rtsmlm.files.tables.columns import (
    generator_name,
    needed_pixel_nm,
    positive,
    replacing,
)
from rtsmlm.files.tables.spot_widths import SpotWidths
from rtsmlm.localizations import Localizations

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
        Must hold `pixel_nm`; `psf_sigma_nm` or `psf_astigmatism` fill the sigma columns, and
        `extra_columns` stand behind all others.
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
    widths = SpotWidths(metadata, known)
    extras = extra_columns_of(metadata)
    first_id = 1
    writer: Any = None
    with replacing(path) as part:
        try:
            # The empty first batch writes the header of a table without rows.
            for batch in chain([Localizations.empty()], batches):
                columns = _text_columns(batch, pixel_nm, widths, known, first_id)
                for name, unit in extras.items():
                    columns[_title(name, unit)] = batch.extra_column(name)
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
    widths: SpotWidths,
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
    if widths.one:
        columns["sigma [nm]"] = widths.of(batch)[0]
    elif widths.known:
        columns["sigma1 [nm]"], columns["sigma2 [nm]"] = widths.of(batch)
    for name in ("photons", "background"):
        if name in unchanged:
            columns[unchanged.pop(name)] = getattr(batch, name)
    if "std_x_nm" in known:
        # The format knows one lateral uncertainty: the root mean square of both axes.
        columns["uncertainty_xy [nm]"] = np.sqrt((batch.std_x_nm**2 + batch.std_y_nm**2) / 2)
    columns |= {text: getattr(batch, name) for name, text in unchanged.items()}
    return columns


def _title(name: str, unit: str) -> str:
    """Return the header of an extra column, with its unit as ThunderSTORM writes one."""
    return name if unit == "1" else f"{name.removesuffix(f'_{unit}')} [{unit}]"


def _protocol_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-protocol.txt")


def read_protocol(path: Path) -> Metadata:
    """Return what the protocol file beside a table states; nothing where there is none.

    Raises
    ------
    FileFormatError
        If there is one that cannot be read.
    """
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
