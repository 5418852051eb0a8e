"""TIFF as cameras, ImageJ and Micro-Manager really write it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import open_movie

Frames = NDArray[np.uint16]
Write = Callable[[Path, Frames], Path]


def note_of(path: Path) -> str:
    with open_movie(path) as movie:
        return movie.describe().get("difference", "")


def test_a_bigtiff_is_called_one(sample: dict[str, Write], frames: Frames, tmp_path: Path) -> None:
    with open_movie(sample["big_tiff"](tmp_path, frames)) as movie:
        assert "BigTIFF" in movie.describe()["format"]


def test_imagej_stacks_above_4_gb_have_one_directory_and_are_read_whole(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    description = f"ImageJ=1.54f\nimages={len(frames)}\nslices={len(frames)}\n"
    tifffile.imwrite(path, frames[0], byteorder=">", description=description, metadata=None)
    with path.open("ab") as file:
        file.write(frames[1:].astype(">u2").tobytes())

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)
        assert "note" not in movie.describe()


@pytest.mark.parametrize("name", ["imagej_tiff", "big_tiff"])
def test_a_stack_cut_in_the_middle_gives_the_complete_frames(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, name: str
) -> None:
    path = sample[name](tmp_path, frames)
    with tifffile.TiffFile(path) as tif:
        first = tif.pages.first.dataoffsets[0]
    path.write_bytes(path.read_bytes()[: first + 5 * 2048 + 1000])

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(movie.n_frames)), frames[:5])
        assert "11 frames, 5 are there and read" in movie.describe()["difference"]


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8, 0.99])
def test_a_streamed_tiff_cut_anywhere_gives_the_complete_frames_and_says_so(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, part: float
) -> None:
    path = sample["plain_tiff"](tmp_path, frames)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])

    with open_movie(path) as movie:
        n = movie.n_frames
        np.testing.assert_array_equal(movie.read(range(n)), frames[:n])
        assert movie.account.differences

    assert int(11 * part) - 1 <= n <= int(11 * part)


def test_an_ome_movie_split_over_files_is_read_whole(frames: Frames, tmp_path: Path) -> None:
    first, second = split_ome(tmp_path, frames)

    with open_movie(first) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)
        assert (movie.stated.pixel_nm, movie.exposure_ms) == (107, 30)
    with open_movie(tmp_path) as movie:
        assert movie.n_frames == 11
    second.unlink()
    with open_movie(first) as movie:
        np.testing.assert_array_equal(movie.read(range(6)), frames[:6])
        assert "11 frames, 6 are there and read" in movie.describe()["difference"]


def split_ome(folder: Path, frames: Frames) -> tuple[Path, Path]:
    """Write 6 + 5 frames as Micro-Manager splits at 4 GB."""
    paths = folder / "stack.ome.tif", folder / "stack_1.ome.tif"
    blocks = "".join(
        f'<TiffData FirstT="{t}" FirstC="0" FirstZ="0" IFD="{t % 6}" PlaneCount="1">'
        f'<UUID FileName="{paths[t // 6].name}">urn:uuid:{t // 6}</UUID></TiffData>'
        for t in range(len(frames))
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        f'Type="uint16" SizeX="32" SizeY="32" SizeZ="1" SizeC="1" SizeT="{len(frames)}" '
        'PhysicalSizeX="0.107" PhysicalSizeXUnit="&#181;m"><Channel ID="Channel:0:0"/>'
        f'{blocks}<Plane TheT="0" TheC="0" TheZ="0" ExposureTime="30" ExposureTimeUnit="ms"/>'
        "</Pixels></Image></OME>"
    ).replace("&#181;m", "um")
    for path, part in zip(paths, (frames[:6], frames[6:]), strict=True):
        with tifffile.TiffWriter(path) as writer:
            for k, frame in enumerate(part):
                text = xml if k == 0 and path is paths[0] else None
                writer.write(frame, contiguous=False, metadata=None, description=text)
    return paths


def test_micromanager_tags_in_a_tiff_state_the_camera(frames: Frames, tmp_path: Path) -> None:
    tags = {
        "Camera": "Andor",
        "PixelSizeUm": 0.16,
        "Exposure-ms": 15,
        "Andor-EMSwitch": "On",
        "Andor-Gain": "250",
    }
    path = tmp_path / "movie.tif"
    extra = [(51123, "s", 0, json.dumps(tags), True)]
    tifffile.imwrite(path, frames, extratags=extra, metadata=None)

    with open_movie(path) as movie:
        assert (movie.stated.pixel_nm, movie.stated.em_gain) == (160, 250)
        assert movie.exposure_ms == 15


@pytest.mark.parametrize("unit_nm", [0.001, 6500])
def test_a_pixel_that_no_sample_plane_has_is_ignored_with_a_note(
    frames: Frames, tmp_path: Path, unit_nm: float
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(
        path, frames, imagej=True, resolution=(1 / unit_nm, 1 / unit_nm), metadata={"unit": "nm"}
    )

    with open_movie(path) as movie:
        assert movie.stated.pixel_nm is None
        assert "ignored: a pixel in the sample plane" in movie.describe()["note"]


def test_screen_resolution_is_no_pixel_size_and_no_news(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, resolution=(72, 72), resolutionunit="INCH", metadata=None)

    with open_movie(path) as movie:
        assert movie.stated.pixel_nm is None
        assert "note" not in movie.describe()


def test_a_resolution_in_centimetres_is_a_pixel_size(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    per_cm = 1e7 / 125
    tifffile.imwrite(
        path, frames, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", metadata=None
    )

    with open_movie(path) as movie:
        assert movie.stated.pixel_nm == pytest.approx(125)


@pytest.mark.parametrize("axes", ["TC", "TZ", "CZ"])
def test_channels_and_slices_are_refused_with_what_was_found(
    frames: Frames, tmp_path: Path, axes: str
) -> None:
    path = tmp_path / "movie.ome.tif"
    pixels = frames[:10].reshape(5, 2, 32, 32)
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": f"{axes}YX"})

    with pytest.raises(FileFormatError, match=f"5 {axes[0]} x 2 {axes[1]} planes"):
        open_movie(path)


def test_one_axis_of_any_name_is_a_series(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, frames[None, None], ome=True, metadata={"axes": "TCZYX"})

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)


def test_planes_of_unnamed_axes_are_read_in_the_order_of_the_file(
    frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames[:10].reshape(5, 2, 32, 32), compression="zlib")

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(10)), frames[:10])
        assert "5 x 2 planes" in movie.describe()["note"]


def test_a_thumbnail_beside_the_movie_does_not_disturb(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint16), metadata=None)
        writer.write(frames, metadata=None)

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)


def test_colour_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.zeros((4, 32, 32, 3), np.uint8), photometric="rgb")

    with pytest.raises(FileFormatError, match="grey frames"):
        open_movie(path)


def test_numbered_single_frames_in_a_folder_are_a_movie_in_the_order_of_their_numbers(
    frames: Frames, tmp_path: Path
) -> None:
    for k, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"img_channel000_time{k}.tif", frame)

    with open_movie(tmp_path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)


def test_the_tiff_library_is_not_silenced_for_others(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = sample["plain_tiff"](tmp_path, frames)
    path.write_bytes(path.read_bytes()[:15_000])

    with open_movie(path) as movie:
        movie.read([0])
    quiet = len(caplog.records)
    logging.getLogger("tifffile").warning("of another program")

    assert (quiet, len(caplog.records)) == (0, 1)
