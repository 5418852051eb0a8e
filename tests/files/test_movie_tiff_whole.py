"""No frame of a TIFF movie is left out in silence: not by its texts, its pages, or its siblings."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies import tiff_directory
from rtsmlm.files.movies.open import open_movie
from rtsmlm.settings.camera import MovieSettings

Frames = NDArray[np.uint16]
TAGS = {"Camera": "Cam", "PixelSizeUm": 0.1}
CAMERA = {"Prefix": "cell", "Frames": 11, "Channels": 1, "Slices": 1}


def paged(
    path: Path, frames: Sequence[Frames], text: str = "", *, bits: int = 16, order: str = "<"
) -> Path:
    """Write a page before each frame, as cameras stream, with a text in the first one."""
    with path.open("wb") as file:
        file.write({"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8))
        for k, frame in enumerate(frames):
            data = frame.astype(f"{order}u2").tobytes()
            if bits != 16:
                wide = np.unpackbits(frame.astype(">u2").view(np.uint8)).reshape(*frame.shape, 16)
                rows = wide[..., 16 - bits :].reshape(len(frame), -1)
                data = np.packbits(rows, axis=1).tobytes()  # each row begins with a new byte
            words = text.encode() + b"\0\0" if text and k == 0 else b""
            tags = [(256, frame.shape[1]), (257, frame.shape[0]), (258, bits), (259, 1), (262, 1)]
            at = file.tell() + 2 + 12 * (9 + bool(words)) + 4
            tags += [(273, at + len(words)), (277, 1), (278, frame.shape[0]), (279, len(data))]
            entries = [(tag, 4, 1, value) for tag, value in tags]
            entries += [(270, 2, len(words), at)] if words else []
            file.write(struct.pack(f"{order}H", len(entries)))
            for entry in sorted(entries):
                file.write(struct.pack(f"{order}HHII", *entry))
            end = at + len(words) + len(data)
            file.write(struct.pack(f"{order}I", 0 if k == len(frames) - 1 else end))
            file.write(words + data)
    return path


def stack(
    path: Path, frames: Frames, numbers: Sequence[int], *, finished: bool = True, position: int = 0,
    summary: Mapping[str, object] = CAMERA,
) -> Path:  # fmt: skip
    """Write a stack of Micro-Manager: summary, pages with their metadata, map of all pages."""
    head = json.dumps(summary).encode().ljust(200)
    index = []
    with path.open("wb+") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 240) + bytes(24))
        file.write(struct.pack("<II", 2355492, len(head)) + head)
        for k, (frame, number) in enumerate(zip(frames, numbers, strict=True)):
            at = file.tell()
            words = json.dumps({**TAGS, "FrameIndex": number, "PositionIndex": position}).encode()
            data_at = at + 2 + 12 * 9 + 4
            end = data_at + frame.nbytes + len(words)
            tags = [
                (256, 4, 1, frame.shape[1]),
                (257, 4, 1, frame.shape[0]),
                (258, 4, 1, 16),
                (259, 4, 1, 1),
                (262, 4, 1, 1),
                (273, 4, 1, data_at),
                (277, 4, 1, 1),
                (279, 4, 1, frame.nbytes),
                (51123, 2, len(words), data_at + frame.nbytes),
            ]
            file.write(struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *t) for t in tags))
            last = k == len(frames) - 1 and finished
            file.write(struct.pack("<I", 0 if last else end) + frame.tobytes() + words)
            index.append((0, 0, number, position, at))
        if finished:
            map_at = file.tell()
            file.write(struct.pack("<II", 3453623, len(index)) + np.array(index, "<u4").tobytes())
            file.seek(8)
            file.write(struct.pack("<II", 54773648, map_at))
    return path


def ome(blocks: str, n_t: int, n_c: int = 1, uuid: str = "own") -> str:
    return (
        f'<?xml version="1.0"?><OME xmlns="urn:ome" UUID="{uuid}">'
        + "".join(
            f'<Image ID="Image:{k}"><Pixels ID="P" DimensionOrder="XYCZT" Type="uint16" SizeX="32" '
            f'SizeY="32" SizeZ="1" SizeC="{n_c}" SizeT="{n_t}">{block}</Pixels></Image>'
            for k, block in enumerate(blocks.split("|"))
        )
        + "</OME>"
    )


def differences(path: Path, frames: Frames, index: Sequence[int] | None = None) -> str:
    """Return the differences of a movie that must hold these frames, with these numbers."""
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(movie.n_frames)), frames)
        assert movie.account.read == movie.n_frames == len(frames)
        assert (None if movie.frame_index is None else movie.frame_index.tolist()) == index
        return "; ".join(movie.account.differences)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_that_each_say_to_be_a_series_of_their_own_are_one_movie(
    frames: Frames, tmp_path: Path, compression: str | None
) -> None:
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in frames:
            writer.write(frame, contiguous=False, compression=compression)

    assert differences(path, frames) == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stated", [5, 11, 60])
def test_the_pages_count_where_the_text_of_imagej_states_another_number(
    frames: Frames, tmp_path: Path, stated: int, order: str
) -> None:
    text = f"ImageJ=1.5\nimages={stated}\nframes={stated}\n"
    path = paged(tmp_path / "movie.tif", list(frames), text, order=order)

    expected = "" if stated == 11 else f"the ImageJ text states {stated} frames, 11 are there"
    assert differences(path, frames).startswith(expected)
    assert bool(expected) == bool(differences(path, frames))


@pytest.mark.parametrize("stated", [8, 11, 60, 2**31 - 1])
def test_the_pages_count_where_ome_xml_states_another_number(
    frames: Frames, tmp_path: Path, stated: int
) -> None:
    path = paged(tmp_path / "movie.ome.tif", list(frames), ome("<TiffData/>", stated))

    said = differences(path, frames)
    assert ("" if stated == 11 else f"the OME-XML states {stated} frames, 11 are there") in said
    assert bool(said) == (stated != 11)


def test_two_stacks_in_a_file_are_read_one_behind_the_other_and_said(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    for part in (frames[:7], frames[7:]):
        tifffile.imwrite(path, part, append=True, photometric="minisblack")

    assert "holds 2 stacks, of 7 and 4 frames" in differences(path, frames)


def test_pages_of_other_kinds_are_counted_and_named(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in frames:
            writer.write(frame, contiguous=False, metadata=None)
            writer.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", metadata=None)
        writer.write(frames[0, :16], metadata=None)

    said = differences(path, frames)
    assert "11 pages of 8 x 8 pixels (8-bit unsigned, 3 samples per pixel) left out" in said
    assert "1 page of 16 x 32 pixels (16-bit unsigned) left out" in said


def test_two_movies_of_other_sizes_in_a_file_are_refused(frames: Frames, tmp_path: Path) -> None:
    path = paged(tmp_path / "movie.tif", [*frames, *frames[:8, :, :20]])

    with pytest.raises(FileFormatError, match=r"11 pages of 32 x 32 with 16 bits, 8 pages of"):
        open_movie(path)


@pytest.mark.parametrize("kind", [{"rowsperstrip": 5}, {"tile": (16, 16)}])
def test_frames_in_pieces_are_put_together(
    frames: Frames, tmp_path: Path, kind: dict[str, object]
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, metadata=None, photometric="minisblack", **kind)  # type: ignore[arg-type]

    assert differences(path, frames) == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_values_are_unpacked(frames: Frames, tmp_path: Path, bits: int, order: str) -> None:
    low = np.minimum(frames, (1 << bits) - 1)[:, :, :30]

    assert differences(paged(tmp_path / "m.tif", list(low), bits=bits, order=order), low) == ""


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_unsigned_values_stored_as_signed_are_named_and_read_as_the_setting_says(
    frames: Frames, tmp_path: Path, compression: str | None, order: str
) -> None:
    path, bright = tmp_path / "movie.tif", frames + np.uint16(40_000)
    tifffile.imwrite(
        path, bright.view(np.int16), metadata=None, byteorder=order, compression=compression
    )

    with (
        open_movie(path) as movie,
        pytest.raises(FileFormatError, match=r"set movie\.dtype"),
    ):
        movie.read([0])
    with open_movie(path, MovieSettings(dtype="<u2")) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), bright)
    with pytest.raises(ConfigError, match=r"holds .*int16 of 2; give a type of that size"):
        open_movie(path, MovieSettings(dtype="<u4"))


def test_values_below_zero_by_a_background_are_not_taken_for_wrapped_ones(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames.astype(np.int16) - 160, metadata=None)

    with open_movie(path) as movie, pytest.raises(FileFormatError, match="without background"):
        movie.read([0])


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("name", ["cell_MMStack_Pos0", "tubulin", "Zelle 2. Übung"])
def test_a_stack_over_several_files_is_read_whole_whatever_it_is_called(
    frames: Frames, tmp_path: Path, name: str, finished: bool
) -> None:
    first = stack(tmp_path / f"{name}.ome.tif", frames[:5], range(5))
    stack(tmp_path / f"{name}_1.ome.tif", frames[5:9], range(5, 9))
    stack(tmp_path / f"{name}_2.ome.tif", frames[9:], range(9, 11), finished=finished)

    assert differences(first, frames) == (
        ""
        if finished
        else f"{name}_2.ome.tif cut short: its last page names another one, which is not there"
    )
    assert differences(tmp_path, frames) == differences(first, frames)
    said = differences(tmp_path / f"{name}_1.ome.tif", frames[5:9], [5, 6, 7, 8])
    assert f"it is a later part of {name}.ome.tif" in said


def test_frames_missing_in_a_stack_keep_the_numbers_of_the_others(
    frames: Frames, tmp_path: Path
) -> None:
    kept = [0, 1, 2, 5, 6, 10]
    path = stack(tmp_path / "cell.ome.tif", frames[kept], kept)

    assert "5 frames are missing: 3 to 4, 7 to 9" in differences(path, frames[kept], kept)


@pytest.mark.parametrize(
    ("numbers", "change", "reason"),
    [
        (range(7, 11), {"summary": {**CAMERA, "Prefix": "other"}}, "it is of another acquisition"),
        (range(7, 11), {"position": 1}, "it is of another channel, slice or position"),
        (range(4), {}, "its frame numbers do not go on"),
    ],
)
def test_a_file_that_only_its_name_makes_a_part_is_not_joined(
    frames: Frames, tmp_path: Path, numbers: range, change: dict[str, object], reason: str
) -> None:
    first = stack(tmp_path / "cell.ome.tif", frames[:7], range(7))
    stack(tmp_path / "cell_1.ome.tif", frames[7:], numbers, **change)  # type: ignore[arg-type]

    assert "states 11 frames, 7 are there and read" in differences(first, frames[:7])
    with open_movie(first) as movie:
        assert f"cell_1.ome.tif beside it is not read: {reason}" in "; ".join(movie.notes)


@pytest.mark.parametrize(("content", "reason"), [(b"", "it has 0 bytes"), (b"II*\0", "complete")])
def test_a_part_that_cannot_be_read_is_named(
    frames: Frames, tmp_path: Path, content: bytes, reason: str
) -> None:
    first = stack(tmp_path / "cell.ome.tif", frames[:7], range(7))
    (tmp_path / "cell_1.ome.tif").write_bytes(content.ljust(300 * len(content), b"\0"))

    said = differences(first, frames[:7])
    assert "cell_1.ome.tif beside it is left out: it" in said
    assert reason in said


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("k", [0, 1])
def test_of_several_positions_that_of_the_named_file_is_read(
    frames: Frames, tmp_path: Path, k: int, alone: bool
) -> None:
    blocks = "|".join(
        f'<TiffData IFD="0" PlaneCount="5"><UUID FileName="p{j}.ome.tiff">u{j}</UUID></TiffData>'
        for j in range(2)
    )
    for j in [k] if alone else range(2):
        own = list(frames[5 * j : 5 * j + 5])
        paged(tmp_path / f"p{j}.ome.tiff", own, ome(blocks, 5, uuid=f"u{j}"))

    assert differences(tmp_path / f"p{k}.ome.tiff", frames[5 * k : 5 * k + 5]) == ""
    with open_movie(tmp_path / f"p{k}.ome.tiff") as movie:
        assert f"image 'Image:{k}' of the 2 that the OME-XML describes is read" in movie.notes


def test_interleaved_channels_are_refused_and_a_file_of_one_channel_is_read(
    frames: Frames, tmp_path: Path
) -> None:
    mixed = paged(tmp_path / "mixed.ome.tif", list(frames[:10]), ome("<TiffData/>", 5, 2))
    with pytest.raises(FileFormatError, match="5 T x 2 C planes"):
        open_movie(mixed)

    blocks = "".join(
        f'<TiffData FirstC="{c}" FirstT="{t}" IFD="{t}"><UUID FileName="c{c}.ome.tif"/></TiffData>'
        for t in range(5)
        for c in range(2)
    )
    for c in range(2):
        paged(tmp_path / f"c{c}.ome.tif", list(frames[5 * c : 5 * c + 5]), ome(blocks, 5, 2, "x"))
    said = differences(tmp_path / "c1.ome.tif", frames[5:10])
    assert said == "C 0 left out: it lies in c0.ome.tif"


def test_files_whose_names_in_the_ome_xml_are_gone_are_named(
    frames: Frames, tmp_path: Path
) -> None:
    blocks = "".join(
        f'<TiffData FirstT="{t}" IFD="{t % 6}"><UUID FileName="old{t // 6}.ome.tif">'
        f"{'own' if t < 6 else 'other'}</UUID></TiffData>"
        for t in range(11)
    )
    path = paged(tmp_path / "new.ome.tif", list(frames[:6]), ome(blocks, 11))
    paged(tmp_path / "new_1.ome.tif", list(frames[6:]))

    said = differences(path, frames[:6])
    assert "the OME-XML states 11 frames, 6 are there" in said
    assert "old1.ome.tif; new_1.ome.tif may be of them, but nothing in it says so" in said


def test_an_ndtiff_data_set_without_its_index_is_read_and_the_index_missed(
    frames: Frames, tmp_path: Path
) -> None:
    paged(tmp_path / "c_NDTiffStack.tif", list(frames[:7]))
    paged(tmp_path / "c_NDTiffStack_1.tif", list(frames[7:]))

    assert "NDTiff.index is missing" in differences(tmp_path, frames)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_that_lie_together_are_read_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool, order: str
) -> None:
    path = tmp_path / "movie.tif"
    pixels = np.zeros((600, 4, 5), np.uint16)
    tifffile.imwrite(path, pixels, metadata=None, bigtiff=big, byteorder=order)
    raw = bytearray(path.read_bytes())
    together = tiff_directory.read_directories(path)
    monkeypatch.setattr(tiff_directory, "template_of", lambda *_: None)

    assert together.pages == tiff_directory.read_directories(path).pages
    monkeypatch.undo()
    # One directory in the middle leads back to the first one: no page may count twice.
    width = 8 if big else 4
    for at in range(together.pages[300].at, together.pages[301].at):
        if int.from_bytes(raw[at : at + width], "big" if order == ">" else "little") == (
            together.pages[301].at
        ):
            raw[at : at + width] = together.pages[1].at.to_bytes(
                width, "big" if order == ">" else "little"
            )
    path.write_bytes(bytes(raw))

    assert tiff_directory.read_directories(path).pages == together.pages[:301]
