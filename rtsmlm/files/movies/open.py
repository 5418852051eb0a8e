"""open_movie: which reader fits a file or folder. The only place that knows all formats."""

from __future__ import annotations

import re
from pathlib import Path

from rtsmlm.errors import ConfigError, FileFormatError, RtsmlmError
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.dax import open_dax
from rtsmlm.files.movies.dcimg import MAGIC as DCIMG
from rtsmlm.files.movies.dcimg import open_dcimg
from rtsmlm.files.movies.flat import open_npy, stored_dtype
from rtsmlm.files.movies.joined import open_with_parts, parts_of
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.ndtiff import INDEX_NAME as NDTIFF_INDEX
from rtsmlm.files.movies.ndtiff import open_ndtiff
from rtsmlm.files.movies.raw import open_raw
from rtsmlm.files.movies.raw_layout import RAW_NAME
from rtsmlm.files.movies.spe import open_spe
from rtsmlm.files.movies.tiff import open_tiff
from rtsmlm.files.movies.tiff_folder import is_numbered, open_tiff_folder
from rtsmlm.files.movies.tiff_parts import NDTIFF_STACK
from rtsmlm.files.movies.vendor import SUFFIXES as VENDOR_SUFFIXES
from rtsmlm.files.movies.vendor import open_vendor, vendor_of
from rtsmlm.settings.camera import MovieSettings

_OWN_SUFFIXES = (
    ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".dax", ".spe", ".raw", ".npy", ".dcimg",
)  # fmt: skip
MOVIE_SUFFIXES = (*_OWN_SUFFIXES, *VENDOR_SUFFIXES)
"""Files that `open_movie` takes for movies in a folder."""

# Bare frames may be named so too, but so is much else.
_RAW_SUFFIXES = (".raw", ".bin", ".dat")

_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_KNOWN = f"rtsmlm reads {', '.join(MOVIE_SUFFIXES)}, NDTiff and OME-Zarr"
_RUN_SETTINGS = "run.toml"
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_MARKS = (*_ZARR_FILES, RAW_NAME, NDTIFF_INDEX)
"""Files and folders by which a folder is one movie."""
_BEGUN = "blocks"
"""Folder in a folder of results that a cluster has begun (`offline.cluster_tasks`)."""

# Files often tried that cannot be read, with the advice to give; by the first bytes.
_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Imaris, Picasso localizations, ...)",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"RIFF": "an AVI movie",
    b"\x00\x05\x16\x07": "a companion that a Mac has put beside the file of that name without ._",
}


def open_movie(
    path: Path,
    settings: MovieSettings | None = None,
    *,
    known_shape: tuple[int, int] | None = None,
) -> Movie:
    """Open a recording of any format rtsmlm reads.

    TIFF, BigTIFF, OME-TIFF, ImageJ stacks, NDTiff, OME-Zarr, rtsmlm run folders, .dax,
    .SPE, .dcimg, Picasso and Micro-Manager .raw, .npy; and, where the extra `movies` is installed,
    .nd2, .czi, .lif and .sif.

    Parameters
    ----------
    path
        A file, or a folder that holds one movie.
    settings
        Shape and type of files that do not state them; a type replaces the one that is stated.
    known_shape
        Height and width that the frames must have by other knowledge, such as camera maps;
        used for headerless files.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged from its first frame on, of a format that is not
        read, or holds several channels, slices or positions.
    ConfigError
        If the settings name no possible type, or one of another size than the values have.
    """
    settings = settings or MovieSettings()
    try:
        return _typed(_open(path, settings, known_shape), settings)
    except RtsmlmError:
        raise
    # The last net: damaged files meet code that was written for sound ones.
    except Exception as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error


def _open(path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None) -> Movie:
    if path.is_dir():
        return _open_folder(path, settings, known_shape)
    # Pipes and devices would make reading wait for ever.
    if not path.is_file():
        missing = "is no regular file" if path.exists() else "does not exist"
        raise FileFormatError(f"{path} {missing}; give a movie file or its folder")
    return _open_file(path, settings, known_shape)


def _typed(movie: Movie, settings: MovieSettings) -> Movie:
    """Return a movie whose values are taken for the type that the settings name."""
    if settings.dtype is not None:
        try:
            movie.take_values_as(stored_dtype(settings.dtype))
        except ConfigError:
            movie.close()
            raise
    return movie


def _open_file(path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None) -> Movie:
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise FileFormatError(f"{path} is empty")
    if path.name == NDTIFF_INDEX:
        return open_ndtiff(path)
    # The content decides where it can; names are often wrong, and bare frames have no mark.
    if head.startswith(_TIFF_MAGIC):
        if NDTIFF_STACK in path.name and (path.parent / NDTIFF_INDEX).is_file():
            return open_ndtiff(path.parent)
        return open_with_parts(path, lambda part: _typed(open_tiff(part), settings))
    if head.startswith(b"\x93NUMPY"):
        return open_npy(path)
    if head.startswith(DCIMG):
        return open_dcimg(path)
    suffix = path.suffix.lower()
    if (vendor := vendor_of(head)) and (suffix == vendor or suffix not in _RAW_SUFFIXES):
        return open_vendor(path, vendor)
    if suffix == ".spe":
        return open_spe(path)
    if suffix == ".dax":
        return open_dax(path, settings, known_shape)
    if suffix in _RAW_SUFFIXES:
        return open_raw(path, settings, known_shape)
    if path.name in _ZARR_FILES:
        return _open_zarr(path.parent)
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise FileFormatError(f"{path} is {name}, which rtsmlm does not read; save it as TIFF")
    raise FileFormatError(
        f"{path} is no movie that rtsmlm knows"
        + (" (it is named TIFF but does not begin like one)" if suffix.startswith(".ti") else "")
        + f"; {_KNOWN}"
    )


def _open_folder(path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None) -> Movie:
    if any((path / name).is_file() for name in _ZARR_FILES):
        return _open_zarr(path)
    if (path / RAW_NAME).is_dir():
        return _open_zarr(path / RAW_NAME)
    if (path / _RUN_SETTINGS).is_file():
        raise FileFormatError(
            f"{path} is a run folder without {RAW_NAME}; its raw frames were not recorded"
        )
    if (path / NDTIFF_INDEX).is_file():
        return open_ndtiff(path)
    inside = _movies_in(path)
    if not inside:
        # Micro-Manager nests: name/Pos0/..., and NDTiff: name/Full resolution/...
        inside = [movie for folder in _folders_in(path) for movie in _movies_in(folder)]
    if is_numbered(inside):
        return open_tiff_folder(inside[0].parent, inside)
    if len(inside) == 1:
        return open_movie(inside[0], settings, known_shape=known_shape)
    if not inside:
        raise FileFormatError(f"{path} holds no movie; {_KNOWN}")
    names = ", ".join(str(movie.relative_to(path)) for movie in inside[:10])
    more = ", ..." if len(inside) > 10 else ""
    raise FileFormatError(f"{path} holds {len(inside)} movies ({names}{more}); open one of them")


def find_movies(path: Path) -> list[Path]:
    """Return the movies in a folder and all folders in it, each as `open_movie` takes it.

    A path that is a movie itself, or no folder, is returned as it is. Folders of results without
    raw frames are left out.
    """
    if not path.is_dir() or any((path / name).exists() for name in _MARKS):
        return [path]
    inside = _movies_in(path)
    if is_numbered(inside):
        return [path]
    deeper = (f for f in _folders_in(path) if f not in inside and not _is_result(f))
    return [*inside, *(movie for folder in deeper for movie in find_movies(folder))]


def _is_result(folder: Path) -> bool:
    """Return whether a folder holds results, and no raw frames."""
    is_begun = (folder / _RUN_SETTINGS).is_file() or (folder / _BEGUN).is_dir()
    return is_begun and not (folder / RAW_NAME).is_dir()


def _open_zarr(path: Path) -> Movie:
    # Not with this module: a compute node that trains networks needs no zarr.
    from rtsmlm.files.movies.zarr import open_zarr

    return open_zarr(path)


def _folders_in(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not _is_hidden(p))


def _is_hidden(path: Path) -> bool:
    """Return whether a system has put it there: .DS_Store, ._movie.tif, __MACOSX."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def _movies_in(path: Path) -> list[Path]:
    """Return the movies in a folder; a stack that is split over files counts once."""
    for name in (RAW_NAME, NDTIFF_INDEX):
        if (path / name).exists():
            return [path / name]
    files = sorted(
        p
        for p in path.iterdir()
        if p.suffix.lower() in MOVIE_SUFFIXES and p.is_file() and not _is_hidden(p)
    )
    names = {p.name for p in files}
    later_parts = {part for file in files for part in parts_of(file)[1:]}
    movies = [
        p for p in files if _first_part(p.name) not in names - {p.name} and p not in later_parts
    ]
    movies += [p for p in _folders_in(path) if any((p / name).is_file() for name in _ZARR_FILES)]
    return movies


def _first_part(name: str) -> str:
    """Return `stack.ome.tif` for `stack_2.ome.tif`: Micro-Manager splits at 4 GB."""
    first = re.sub(r"_\d+(\.ome\.\w+)$", r"\1", name)
    return re.sub(rf"({NDTIFF_STACK}|_MMStack\w*?)_\d+(\.\w+)$", r"\1\2", first)
