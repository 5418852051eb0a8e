"""What `rtsmlm calibrate psf --table` writes: the image of a point at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape

from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.calibrate.bead_windows import Planes
from rtsmlm.cli.console import console
from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.read import read_table
from rtsmlm.localizations import F32
from rtsmlm.physics.psf_file import save_psf

FILE = "psf_table.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """How a table is to be made."""

    z_step_nm: float
    z_first_nm: float | None
    """Depth of the first plane; None counts from the middle of the stack."""
    side_px: int
    positions: Path | None
    """Table of the true places of the beads."""


def write_table(
    stacks: Sequence[Planes], request: TableRequest, pixel_nm: float, source: Path, out: Path
) -> None:
    """Make the PSF of all beads and write it to `psf_table.npz`.

    Raises
    ------
    CalibrationError
        If no bead lies alone and far enough from the edges.
    ConfigError
        If the side is even.
    SinkError
        If the file cannot be written.
    """
    if request.side_px % 2 == 0:
        raise ConfigError(
            f"--table-px is {request.side_px}; a table has an odd side, such as "
            f"{request.side_px + 1}"
        )
    planes = [np.concatenate([np.asarray(part, np.float32) for part in s()]) for s in stacks]
    z_first_nm = request.z_first_nm
    if z_first_nm is None:
        z_first_nm = -request.z_step_nm * (len(planes[0]) - 1) / 2
    table, sigma_px = psf_from_beads(
        planes,
        z_first_nm=z_first_nm,
        z_step_nm=request.z_step_nm,
        centers_px=_centers(request.positions, pixel_nm),
        half_px=request.side_px // 2,
    )
    path = out / FILE
    save_psf(path, table, pixel_nm=pixel_nm, origin=f"Beads of {source.name}, averaged.")
    last_nm = table.z_first_nm + table.z_step_nm * (len(table.sums) - 1)
    console.print(
        f"table    {len(table.sums)} planes of {request.side_px} pixels of {pixel_nm:g} nm, z "
        f"{table.z_first_nm:.0f} to {last_nm:.0f} nm; {sigma_px * pixel_nm:.0f} nm wide where it "
        "is sharpest",
        soft_wrap=True,
    )
    console.print(f"results  {escape(str(path))}", soft_wrap=True)
    console.print(
        "use      as psf.table of a run, as file of the section \\[psf] in a recipe of rtsmlm "
        "train, or as the property PSFFile of the simulated microscope",
        soft_wrap=True,
    )


def _centers(positions: Path | None, pixel_nm: float) -> np.ndarray | None:
    """Return the true places of the beads in pixels, shape (beads, 2)."""
    if positions is None:
        return None
    rows = read_table(positions, pixel_nm).localizations
    places: F32 = np.column_stack([rows.x_nm, rows.y_nm]) / np.float32(pixel_nm)
    return np.asarray(np.unique(places, axis=0), dtype=np.float64)
