"""Damaged, false and absurd files: a named error or the frames that are whole, nothing else."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.settings.camera import MovieSettings

Frames = NDArray[np.uint16]
Write = Callable[[Path, Frames], Path]

MAX_BYTES = 64e6
"""No damaged file of 30 kB may make us allocate more."""

SUFFIXES = ["tif", "tiff", "btf", "dax", "SPE", "raw", "bin", "npy", "zarr", "index", "txt", "nd2"]


def parts_of(path: Path) -> list[Path]:
    """Return the files a movie consists of, sidecars included, largest first."""
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else []
    beside = [] if path.is_dir() else [p for p in path.parent.iterdir() if p.is_file()]
    return sorted({*files, *beside}, key=lambda p: (-p.stat().st_size, p.name))


def read_all(path: Path, settings: MovieSettings | None = None) -> tuple[Frames, str] | None:
    """Return all frames and the differences of a movie, None where it ends in a clear error."""
    try:
        with open_movie(path, settings) as movie:
            pixels = np.concatenate([batch.pixels for batch in movie.batches(4)])
            return pixels, movie.describe().get("difference", "")
    except (FileFormatError, ConfigError) as error:
        check_message(error, path)
        return None


def check_message(error: Exception, path: Path) -> None:
    text = str(error)
    assert str(path.parent) in text, text
    assert "\n" not in text
    assert 20 < len(text) < 700, text


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.1, 0.4, 0.7, 0.97])
def test_a_file_cut_anywhere_gives_its_first_frames_or_a_clear_error(
    any_format: Write, frames: Frames, tmp_path: Path, part: float
) -> None:
    path = any_format(tmp_path, frames)

    for file in parts_of(path):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(part * len(whole))])
        found = read_all(path)
        file.write_bytes(whole)
        # An .inf or the metadata of a zarr array is either read or not; what counts is pixels.
        if found is not None and file.suffix not in (".inf", ".yaml", ".txt"):
            pixels, note = found
            # Of our own recordings only what is damaged is left out; a frame knows its number.
            kept = pixels[:, 0, 0] - 1000 if path.name == "run" else np.arange(len(pixels))
            np.testing.assert_array_equal(pixels[:, 1:], frames[kept, 1:])
            assert len(pixels) == len(frames) or note


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_end_in_pixels_or_in_a_clear_error_without_large_memory(
    any_format: Write, frames: Frames, tmp_path: Path, seed: int
) -> None:
    path = any_format(tmp_path, frames)
    rng = np.random.default_rng(seed)
    read_all(path)  # libraries allocate their own tables on the first call

    for file in parts_of(path):
        whole = file.read_bytes()
        for _ in range(4):
            damaged = bytearray(whole)
            head = min(len(damaged), 400)
            where = rng.integers(0, head if rng.random() < 0.7 else len(damaged), size=3)
            for at in where:
                damaged[at] = rng.integers(0, 256)
            file.write_bytes(bytes(damaged))
            tracemalloc.start()
            try:
                read_all(path)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < MAX_BYTES
        file.write_bytes(whole)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["empty", "one byte", "zeros", "text", "noise"])
def test_files_that_are_no_movies_are_refused_by_name(
    rng: np.random.Generator, tmp_path: Path, suffix: str, kind: str
) -> None:
    content = {
        "empty": b"",
        "one byte": b"I",
        "zeros": bytes(5000),
        "text": b"this is not a movie, whatever its name says\n" * 40,
        "noise": rng.bytes(4999),
    }[kind]
    path = tmp_path / f"movie.{suffix}"
    path.write_bytes(content)

    with pytest.raises(FileFormatError) as error:
        open_movie(path)

    check_message(error.value, path)
    assert path.name in str(error.value)


@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x93NUMPY\1\0"])
def test_a_good_first_word_before_noise_is_refused(
    rng: np.random.Generator, tmp_path: Path, magic: bytes
) -> None:
    path = tmp_path / "movie.tif"
    for _ in range(20):
        path.write_bytes(magic + rng.bytes(2000))

        assert read_all(path) is None


def test_a_directory_chain_that_bites_its_tail_ends(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    path.write_bytes(
        struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 256, 3, 1, 16) + struct.pack("<I", 8)
    )

    assert read_all(path) is None


def test_other_formats_are_named(tmp_path: Path) -> None:
    path = tmp_path / "movie.ims"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))

    with pytest.raises(FileFormatError, match="HDF5"):
        open_movie(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere\.tif does not exist"):
        open_movie(tmp_path / "nowhere.tif")


@pytest.mark.parametrize("suffix", ["tif", "dax", "raw", "SPE", "npy", "zarr"])
def test_an_empty_folder_named_like_a_movie_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"movie.{suffix}"
    path.mkdir()

    with pytest.raises(FileFormatError, match="holds no movie"):
        open_movie(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(10)
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    os.mkfifo(path)

    with pytest.raises(FileFormatError, match="no regular file"):
        open_movie(path)


def test_a_file_that_may_not_be_read_is_told(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample["dax"](tmp_path, frames)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(FileFormatError, match=r"movie\.dax cannot be read: .*Permission denied"):
        open_movie(path)


@pytest.mark.parametrize(
    ("offset", "code", "value"),
    [(42, "<H", 0), (656, "<H", 65535), (108, "<h", 99)],
)
def test_absurd_spe_headers_are_refused(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, offset: int, code: str, value: int
) -> None:
    path = sample["spe"](tmp_path, frames)
    raw = bytearray(path.read_bytes())
    struct.pack_into(code, raw, offset, value)
    path.write_bytes(bytes(raw))

    assert read_all(path) is None


def test_an_spe_file_with_more_frames_stated_than_there_tells_so(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["spe"](tmp_path, frames)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<i", raw, 1446, 2**31 - 1)
    path.write_bytes(bytes(raw))

    found = read_all(path)

    assert found is not None
    assert "the header states 2147483647 frames, 11 are there" in found[1]


@pytest.mark.parametrize(
    ("name", "sidecar", "old", "new"),
    [
        ("dax", "movie.inf", "32 x 32", "2147483648 x 2147483648"),
        ("dax", "movie.inf", "32 x 32", "0 x 32"),
        ("dax", "movie.inf", "32 x 32", "999 x 999"),
        ("dax", "movie.inf", "frame dimensions", "dimensions"),
        ("dax", "movie.inf", "16 bit", "8 bit"),
        ("picasso_raw", "movie.yaml", "Height: 32", "Height: 2147483648"),
        ("picasso_raw", "movie.yaml", "Height: 32", "Height: -32"),
        ("picasso_raw", "movie.yaml", "Height: 32", "Height: 1e400"),
        ("picasso_raw", "movie.yaml", "Height: 32", "Height: [32]"),
        ("picasso_raw", "movie.yaml", "Width: 32", "Width: nan"),
        ("picasso_raw", "movie.yaml", "uint16", "object"),
        ("picasso_raw", "movie.yaml", "uint16", "float64, (9999999999,)"),
        ("micromanager_raw", "movie_metadata.txt", '"Width": 32', '"Width": 2147483648'),
        ("micromanager_raw", "movie_metadata.txt", '"Width": 32', '"Width": null'),
        ("micromanager_raw", "movie_metadata.txt", "GRAY16", "RGB32"),
        ("micromanager_raw", "movie_metadata.txt", '"Summary"', '"Sumary"'),
        ("micromanager_raw", "movie_metadata.txt", '"Frames": 11', '"Channels": 2'),
    ],
)
def test_a_sidecar_that_cannot_be_true_is_refused(
    sample: dict[str, Write],
    frames: Frames,
    tmp_path: Path,
    name: str,
    sidecar: str,
    old: str,
    new: str,
) -> None:
    path = sample[name](tmp_path, frames)
    text = (tmp_path / sidecar).read_text()
    assert old in text
    (tmp_path / sidecar).write_text(text.replace(old, new, 1))

    assert read_all(path) is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghijk")
        ),
        "a: &a {x: 1}\n" + "".join(f"b{k}: &b{k}\n  <<: [*a, *a]\n" for k in range(5000)),
        "[" * 200_000,
        "x: " + "9" * 1_000_000,
        "\x00\xff" * 50_000,
        "!!python/object/apply:os.system ['exit 1']\n",
    ],
    ids=["aliases", "merges", "nesting", "digits", "bytes", "tag"],
)  # fmt: skip
def test_yaml_bombs_do_not_go_off(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, bomb: str
) -> None:
    path = sample["picasso_raw"](tmp_path, frames)
    sidecar = tmp_path / "movie.yaml"
    sidecar.write_text(bomb, encoding="utf-8")
    assert read_all(path) is None

    sidecar.write_text("Height: 32\nWidth: 32\nFrames: 11\n" + bomb, encoding="utf-8")
    found = read_all(path)
    assert found is not None
    np.testing.assert_array_equal(found[0], frames)


@pytest.mark.parametrize("name", ["micromanager_raw", "picasso_raw"])
def test_a_raw_movie_without_its_sidecar_tells_what_to_set(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, name: str
) -> None:
    path = sample[name](tmp_path, frames)
    for sidecar in parts_of(path):
        if sidecar != path:
            sidecar.unlink()

    with pytest.raises(FileFormatError, match=r"set movie\.height, movie\.width"):
        open_movie(path)


@pytest.mark.parametrize("dtype", ["no", "O", "c8", "<U4", "S1000000000", "f2,f2", "(4000,)u2"])
def test_a_type_that_is_none_is_a_wrong_setting(frames: Frames, tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "movie.raw"
    path.write_bytes(frames.tobytes())

    with pytest.raises(ConfigError, match=r"movie\.dtype"):
        open_movie(path, MovieSettings(height=32, width=32, dtype=dtype))


@pytest.mark.parametrize(
    "shape", [(2**31, 2**31, 2), (2**62,), (0, 32, 32), (11, 0, 32), (-1, 4, 4)]
)
def test_absurd_npy_headers_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "movie.npy"
    header = (
        repr({"descr": "<u2", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    )
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(50_000))

    assert read_all(path) is None


def test_a_pickled_array_is_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "movie.npy"
    np.save(path, np.array([[{"a": 1}]], dtype=object), allow_pickle=True)

    with pytest.raises(FileFormatError, match="array of object"):
        open_movie(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"shape": [\n    2147483647', '"shape": [\n    -4'),
        ('"shape": [\n    2147483647', '"shape": [\n    0'),
        ('"data_type": "uint16"', '"data_type": "complex64"'),
        ('"data_type": "uint16"', '"data_type": "string"'),
        ('"bytes"', '"numcodecs.pickle"'),
        ('"regular"', '"hexagonal"'),
        ('"zarr_format": 3', '"zarr_format": 99'),
    ],
)
def test_absurd_zarr_metadata_are_refused(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, old: str, new: str
) -> None:
    run = sample["recording"](tmp_path, frames)
    description = run / "raw.ome.zarr" / "0" / "zarr.json"
    text = json.dumps(json.loads(description.read_text()), indent=2)
    assert old in text
    description.write_text(text.replace(old, new, 1))

    assert read_all(run) is None


@pytest.mark.parametrize(
    "entry",
    [
        struct.pack("<I", 2**32 - 1) + b"{}",
        struct.pack("<I", 2) + b"[]" + struct.pack("<I", 1) + b"x" + bytes(32),
        struct.pack("<I", 9) + b'{"t": {}}' + struct.pack("<I", 1) + b"x" + bytes(32),
        struct.pack("<I", 9) + b'{"t": 1}}' + struct.pack("<I", 1) + b"x" + bytes(32),
        struct.pack("<I", 8) + b'{"t": 1}' + struct.pack("<I", 12) + b"../../passwd" + bytes(32),
        struct.pack("<I", 8) + b'{"t": 1}' + struct.pack("<I", 1) + b"\0" + bytes(32),
        struct.pack("<I", 30000) + b"[" * 30000 + struct.pack("<I", 1) + b"x" + bytes(32),
        bytes(4096),
    ],
    ids=["length", "list", "axis", "json", "path", "nul", "nesting", "zeros"],
)
def test_damaged_ndtiff_indices_are_refused(tmp_path: Path, entry: bytes) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "NDTiff.index").write_bytes(entry)

    assert read_all(data) is None


def test_ndtiff_room_that_was_not_used_is_no_damage(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    data = sample["ndtiff"](tmp_path, frames)
    with (data / "NDTiff.index").open("ab") as file:
        file.write(bytes(100_000))

    found = read_all(data)

    assert found is not None
    np.testing.assert_array_equal(found[0], frames)


def test_a_file_that_shrinks_while_it_is_read_ends_in_an_error(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["dax"](tmp_path, frames)
    with open_movie(path) as movie:
        batches = movie.batches(4)
        next(batches)
        path.write_bytes(path.read_bytes()[:5000])

        with pytest.raises(FileFormatError, match=r"movie\.dax cannot be read: the file ends"):
            list(batches)
