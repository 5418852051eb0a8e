"""Movies in the formats of vendors, read by packages that other people keep up to date.

None of them is needed by rtsmlm: a file whose package is missing is refused with the line that
installs it. What such a package finds is checked here as that of every other reader.

| format | told by | package |
|---|---|---|
| Nikon .nd2 | its first bytes | nd2 |
| Zeiss .czi | `ZISRAWFILE` | pylibCZIrw |
| Leica .lif | its first bytes | liffile |
| Andor .sif | `Andor Technology` | sif_parser |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.settings.installation import install_line

EXTRA = "movies"
"""Of `pyproject.toml`: all packages of the table above."""
SUFFIXES = (".nd2", ".czi", ".lif", ".sif")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a package has found in a file."""

    shape: tuple[int, int]
    n_frames: int
    dtype: np.dtype[Any]
    frame: Callable[[int], NDArray[Any]]
    close: Callable[[], object]
    pixel_nm: float | None = None
    pixel_height_nm: float | None = None
    exposure_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Vendor:
    name: str
    module: str
    find: Callable[[Path, Any], _Found]


class VendorMovie(Movie):
    """A movie whose frames another package reads, one at a time.

    Parameters
    ----------
    facts
        What is known of the movie.
    found
        How its frames are read, and how the file is closed.
    """

    def __init__(self, facts: MovieFacts, found: _Found) -> None:
        self._found = found
        super().__init__(facts)

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        frames = np.empty((stop - start, *self.shape), self.dtype)
        for k in range(start, stop):
            frames[k - start] = self._found.frame(k)
        return frames

    def close(self) -> None:
        """Close the file. Safe to call more than once."""
        self._found.close()


def vendor_of(head: bytes) -> str | None:
    """Return the suffix of the format that a file begins like; None for all others.

    Parameters
    ----------
    head
        At least its first 16 bytes.
    """
    return next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), None)


def open_vendor(path: Path, suffix: str) -> VendorMovie:
    """Open a movie of a vendor.

    Parameters
    ----------
    path
        The file.
    suffix
        As `vendor_of` gives it.

    Raises
    ------
    FileFormatError
        If the package that reads it is not installed, or the file is damaged or holds several
        channels, slices or positions.
    """
    vendor = _VENDORS[suffix]
    try:
        package = import_module(vendor.module)
    except ImportError as error:
        raise FileFormatError(
            f"{path} is a {vendor.name} file, which needs a package that is not installed "
            f"({one_line(error)}); {install_line(EXTRA)}"
        ) from error
    try:
        found = vendor.find(path, package)
    except FileFormatError:
        raise
    # Whatever a package raises on a file that is damaged or new to it.
    except Exception as error:
        raise FileFormatError(
            f"{path} cannot be read as a {vendor.name} file: {one_line(error)}"
        ) from error
    facts = MovieFacts(
        path=path,
        kind=f"{vendor.name} (by {vendor.module.partition('.')[0]})",
        shape=found.shape,
        n_frames=found.n_frames,
        dtype=found.dtype,
        stated=StatedCalibration(
            pixel_nm=found.pixel_nm, pixel_height_nm=_other(found.pixel_nm, found.pixel_height_nm)
        ),
        exposure_ms=found.exposure_ms,
    )
    try:
        return VendorMovie(facts, found)
    except FileFormatError:
        found.close()
        raise


def _other(width_nm: float | None, height_nm: float | None) -> float | None:
    """Return the height of a pixel, only where it is not its width."""
    if width_nm is None or height_nm is None or math.isclose(width_nm, height_nm, rel_tol=1e-3):
        return None
    return height_nm


def _only_time(path: Path, sizes: Mapping[str, int], plane: tuple[str, ...]) -> int:
    """Return the frames of a file whose other axes have one value each."""
    others = {axis: n for axis, n in sizes.items() if axis not in plane and n > 1}
    if len(others) > 1 or any(axis in "CSPV" for axis in others):
        held = ", ".join(f"{n} along {axis}" for axis, n in others.items())
        raise FileFormatError(
            f"{path} holds {held}; a movie has one channel, one position and frames alone: export "
            "the part that is to be localized"
        )
    return next(iter(others.values()), 1)


def _nm(value: object, per_unit: float) -> float | None:
    """Return a length in nm; None for one that is not stated."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    return float(value) * per_unit


def _nd2(path: Path, package: Any) -> _Found:
    with ExitStack() as stack:
        file = package.ND2File(path)
        stack.callback(file.close)
        sizes = dict(file.sizes)
        n_frames = _only_time(path, sizes, ("Y", "X"))
        if set(sizes) == {"Y", "X"}:  # an acquisition without a plan states no time axis
            n_frames = int(file.attributes.sequenceCount or 1)
        width_nm, height_nm = _nd2_pixel_nm(file)
        return _Found(
            shape=(sizes["Y"], sizes["X"]),
            n_frames=n_frames,
            dtype=np.dtype(file.dtype),
            frame=lambda k: np.squeeze(file.read_frame(k)),
            close=stack.pop_all().close,
            pixel_nm=width_nm,
            pixel_height_nm=height_nm,
        )


def _nd2_pixel_nm(file: Any) -> tuple[float | None, float | None]:
    """Return width and height of a pixel; None where the file does not state them."""
    try:
        voxel = file.voxel_size()
    # Metadata of a microscope that the package does not know; the frames can be read without.
    except Exception:
        return None, None
    if voxel.x == 1:  # what the package takes without a calibration, in um
        return None, None
    return _nm(voxel.x, 1000), _nm(voxel.y, 1000)


_CZI_TYPES = {"Gray8": "uint8", "Gray16": "uint16", "Gray32Float": "float32"}


def _czi(path: Path, package: Any) -> _Found:
    with ExitStack() as stack:
        reader = package.CziReader(str(path))
        stack.callback(reader.close)
        box = reader.total_bounding_box
        sizes = {axis: end - start for axis, (start, end) in box.items()}
        kind = str(reader.get_channel_pixel_type(0))
        if kind not in _CZI_TYPES:
            raise FileFormatError(f"{path} holds pixels of {kind}; a movie has grey values")
        n_frames = _only_time(path, sizes, ("Y", "X"))
        axis = next((a for a in sizes if a not in "YX" and sizes[a] > 1), "T")
        first = box.get(axis, (0, 1))[0]
        items = reader.metadata.get("ImageDocument", {}).get("Metadata", {}).get("Scaling") or {}
        distances = (items.get("Items") or {}).get("Distance") or []
        listed = distances if isinstance(distances, list) else [distances]
        pixel = {d.get("@Id"): _nm(_number(d.get("Value")), 1e9) for d in listed}
        return _Found(
            shape=(sizes["Y"], sizes["X"]),
            n_frames=n_frames,
            dtype=np.dtype(_CZI_TYPES[kind]),
            frame=lambda k: reader.read(plane={axis: first + k})[..., 0],
            close=stack.pop_all().close,
            pixel_nm=pixel.get("X"),
            pixel_height_nm=pixel.get("Y"),
        )


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _lif(path: Path, package: Any) -> _Found:
    with ExitStack() as stack:
        file = package.LifFile(path)
        stack.callback(file.close)
        images = list(file.images)
        if len(images) != 1:
            names = ", ".join(image.name for image in images[:5])
            raise FileFormatError(f"{path} holds {len(images)} images ({names}); export one")
        image = images[0]
        sizes = dict(image.sizes)
        n_frames = _only_time(path, sizes, ("Y", "X"))
        axis = next((a for a in sizes if a not in "YX" and sizes[a] > 1), None)
        steps = {a: np.diff(image.coords[a][:2]) for a in "XY" if a in image.coords}
        pixel = {a: _nm(abs(float(step[0])), 1e9) for a, step in steps.items() if len(step)}
        return _Found(
            shape=(sizes["Y"], sizes["X"]),
            n_frames=n_frames,
            dtype=np.dtype(image.dtype),
            frame=lambda k: image.frame(**({} if axis is None else {axis: k})),
            close=stack.pop_all().close,
            pixel_nm=pixel.get("X"),
            pixel_height_nm=pixel.get("Y"),
        )


class _EndingFile:
    """A file whose end is an error: the package for .sif would read on there for ever."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, n_bytes: int = -1) -> bytes:
        """Return bytes; none are left only where none are asked for."""
        data = self._file.read(n_bytes)
        if n_bytes and not data:
            raise EOFError("it ends within its header")
        return data

    def readline(self) -> bytes:
        """Return a line, with its end."""
        line = self._file.readline()
        if not line:
            raise EOFError("it ends within its header")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _sif(path: Path, package: Any) -> _Found:
    with path.open("rb") as file:
        frames, info = package.np_open(_EndingFile(file), lazy="memmap")
    return _Found(
        shape=(int(frames.shape[1]), int(frames.shape[2])),
        n_frames=int(frames.shape[0]),
        dtype=np.dtype("<f4"),
        frame=lambda k: frames[k],
        close=lambda: None,
        exposure_ms=_nm(info.get("ExposureTime"), 1000),
    )


_VENDORS = {
    ".nd2": _Vendor("Nikon .nd2", "nd2", _nd2),
    ".czi": _Vendor("Zeiss .czi", "pylibCZIrw.czi", _czi),
    ".lif": _Vendor("Leica .lif", "liffile", _lif),
    ".sif": _Vendor("Andor .sif", "sif_parser", _sif),
}
_MAGIC = {
    b"\xda\xce\xbe\x0a": ".nd2",
    b"\x00\x00\x00\x0cjP  ": ".nd2",
    b"ZISRAWFILE": ".czi",
    b"\x70\x00\x00\x00": ".lif",
    b"Andor Technology": ".sif",
}
