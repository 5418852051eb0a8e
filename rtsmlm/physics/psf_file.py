"""PSF files: the image of a point at every depth, stored for simulators and trained networks.

An npz archive without pickled objects. x and y of 0 are the emitter's place, in the middle of the
table; z is positive away from the objective. z of 0 is the focal plane of computed PSFs; for PSFs
of beads it is where the curves of an astigmatic PSF cross, or what was stated with the stack.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.physics.psf import TablePsf

FORMAT = "rtsmlm-psf-1"
LARGEST_BYTES = 1 << 30
"""Of the table in memory; what is larger is no PSF."""


@dataclass(frozen=True, slots=True)
class StoredPsf:
    """A PSF with what its file says about it."""

    table: TablePsf
    pixel_nm: float
    """Camera pixel that the table integrates over."""
    origin: str
    """What it was computed of or measured on, one sentence."""

    @property
    def z_nm(self) -> tuple[float, float]:
        """Return the depths of the first and the last plane."""
        last = self.table.z_first_nm + self.table.z_step_nm * (len(self.table.sums) - 1)
        return self.table.z_first_nm, last


def save_psf(path: Path, table: TablePsf, *, pixel_nm: float, origin: str) -> None:
    """Write a PSF file.

    Parameters
    ----------
    path
        File to write, usually `*.npz`; its folder is made.
    table
        The PSF; planes ascend in z.
    pixel_nm
        Camera pixel in the sample plane.
    origin
        What it was computed of or measured on, one sentence.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(FORMAT),
                sums=table.sums.astype(np.float32),
                fine_per_px=np.float64(table.fine_per_px),
                z_first_nm=np.float64(table.z_first_nm),
                z_step_nm=np.float64(table.z_step_nm),
                pixel_nm=np.float64(pixel_nm),
                origin=np.array(origin),
            )
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def load_psf(path: Path) -> StoredPsf:
    """Read a PSF file.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or no PSF file.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["format"]) != FORMAT:
                raise FileFormatError(
                    f"{path} is in format {str(file['format'])!r}, this version reads {FORMAT}"
                )
            _check_size(path)
            numbers = {
                name: float(file[name])
                for name in ("fine_per_px", "z_first_nm", "z_step_nm", "pixel_nm")
            }
            sums, origin = np.ascontiguousarray(file["sums"], np.float32), str(file["origin"])
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{path} is no PSF file, or damaged: {error}; rtsmlm calibrate psf --table writes one"
        ) from error
    _check_values(path, sums, numbers)
    pixel_nm = numbers.pop("pixel_nm")
    return StoredPsf(TablePsf(sums=sums, **numbers), pixel_nm, origin)


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST_BYTES:
        raise FileFormatError(
            f"{path} unpacks to {size >> 20} MB; a PSF has at most {LARGEST_BYTES >> 20} MB"
        )


def _check_values(path: Path, sums: np.ndarray, numbers: dict[str, float]) -> None:
    wrong = [
        name
        for name in ("fine_per_px", "z_step_nm", "pixel_nm")
        if not 0.0 < numbers[name] < np.inf
    ]
    if wrong or not np.isfinite(numbers["z_first_nm"]):
        raise FileFormatError(
            f"{path}: {(wrong or ['z_first_nm'])[0]} is {numbers[(wrong or ['z_first_nm'])[0]]:g}; "
            "a PSF file needs finite numbers, steps and pixels above 0"
        )
    square = sums.ndim == 3 and sums.shape[1] == sums.shape[2] >= 2 and len(sums) > 0
    if not square or not np.all(np.isfinite(sums)):
        raise FileFormatError(
            f"{path}: its table of shape {sums.shape} is no stack of square planes of numbers"
        )
    if not np.allclose(sums[:, -1, -1], 1.0, atol=1e-2):
        raise FileFormatError(f"{path}: the light of its planes does not sum to 1")
