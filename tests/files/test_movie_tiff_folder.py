"""A folder of single images: the order of their numbers, and images that do not belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.tiff_folder import is_numbered, open_tiff_folder

HEIGHT, WIDTH = 5, 8


@pytest.fixture
def images(tmp_path: Path) -> Callable[..., list[Path]]:
    """Return a function that writes frame k into img_<number k>.tif."""

    def write(numbers: Sequence[int], pattern: str = "img_{}.tif") -> list[Path]:
        paths = []
        for number in numbers:
            paths.append(tmp_path / pattern.format(number))
            tifffile.imwrite(paths[-1], np.full((HEIGHT, WIDTH), number, np.uint16))
        return paths

    return write


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(numbers=st.lists(st.integers(0, 2000), min_size=2, max_size=8, unique=True))
def test_images_are_ordered_by_number_and_not_by_letter(
    images: Callable[..., list[Path]], tmp_path: Path, numbers: list[int]
) -> None:
    with open_tiff_folder(tmp_path, images(numbers)) as movie:
        assert movie.read(range(len(numbers)))[:, 0, 0].tolist() == sorted(numbers)


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["img_1.tif", "img_20.tif"], True),
        (["img_000_t1_c0.tiff", "img_000_t2_c0.tiff"], True),
        (["img_1.tif"], False),
        (["img_1.tif", "dark_2.tif"], False),
        (["img_1.png", "img_2.png"], False),
        (["img_1.tif", "img_2.tiff"], False),
    ],
)
def test_files_that_differ_by_numbers_alone_are_a_movie(names: list[str], alike: bool) -> None:
    assert is_numbered([Path("folder") / name for name in names]) == alike


def test_an_image_of_another_size_is_named_when_it_is_read(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = images([1, 2, 3])
    tifffile.imwrite(paths[1], np.zeros((HEIGHT, WIDTH + 1), np.uint16))

    with open_tiff_folder(tmp_path, paths) as movie:
        assert movie.read([0, 2])[:, 0, 0].tolist() == [1, 3]
        with pytest.raises(FileFormatError, match=r"img_2\.tif holds 1 frames of \(5, 9\)"):
            movie.read([1])


def test_stacks_are_not_taken_for_single_images(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = images([1, 2])
    tifffile.imwrite(paths[0], np.zeros((3, HEIGHT, WIDTH), np.uint16), photometric="minisblack")

    with pytest.raises(FileFormatError, match="2 TIFF files of several frames; open one of them"):
        open_tiff_folder(tmp_path, paths)


def test_an_image_that_is_gone_is_told_and_the_others_are_read(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = images([1, 2, 3])

    with open_tiff_folder(tmp_path, paths) as movie:
        paths[1].unlink()
        assert movie.read([2])[0, 0, 0] == 3
        with pytest.raises(FileFormatError, match=r"img_2\.tif"):
            movie.read([1])


def test_metadata_beside_the_images_state_exposure_and_camera(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    frame = '{"Camera": "Cam", "Exposure-ms": 25.0, "PixelSizeUm": 0.1}'
    (tmp_path / "metadata.txt").write_text(
        f'{{"Summary": {{"Channels": 1, "Slices": 1}}, "Metadata-Default/img_1.tif": {frame}}}'
    )

    with open_tiff_folder(tmp_path, images([1, 2])) as movie:
        assert movie.exposure_ms == 25.0
        assert movie.stated.pixel_nm == 100.0
        assert movie.describe()["camera"] == "Cam"


@pytest.mark.parametrize("axis", ["Channels", "Slices", "Positions"])
def test_images_of_several_channels_slices_or_positions_are_refused(
    images: Callable[..., list[Path]], tmp_path: Path, axis: str
) -> None:
    (tmp_path / "metadata.txt").write_text(f'{{"Summary": {{"{axis}": 2}}}}')

    with pytest.raises(FileFormatError, match=f"holds 2 {axis.lower()} by its metadata"):
        open_tiff_folder(tmp_path, images([1, 2]))


def test_metadata_of_pymmcore_plus_beside_the_images_state_the_camera(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    frame = (
        '{"camera_device": "Cam", "exposure_ms": 20.0, "pixel_size_um": 0.13, "property_values": '
        '[{"dev": "Cam", "prop": "EMSwitch", "val": "On"}, '
        '{"dev": "Cam", "prop": "Gain", "val": "150"}]}'
    )
    (tmp_path / "_frame_metadata.json").write_text(
        f'{{"img_1.tif": {frame}, "img_2.tif": {frame}}}'
    )

    with open_tiff_folder(tmp_path, images([1, 2])) as movie:
        assert (movie.stated.pixel_nm, movie.stated.em_gain) == (130.0, 150.0)
        assert movie.exposure_ms == 20.0


def test_frames_that_were_planned_and_never_came_are_a_difference(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (tmp_path / "metadata.txt").write_text('{"Summary": {"Frames": 9}}')

    with open_tiff_folder(tmp_path, images([1, 2, 4])) as movie:
        assert movie.frame_index is not None
        assert movie.frame_index.tolist() == [0, 1, 3]
        gap, planned = sorted(movie.account.differences)
        assert gap.startswith("1 image file is missing: 3")
        assert "9 frames" in planned


def test_images_that_are_laid_out_otherwise_are_read_all_the_same(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = images(range(6))
    for number, options in {1: {"compression": "zlib"}, 4: {"description": "a long text"}}.items():
        frame = np.full((HEIGHT, WIDTH), number, np.uint16)
        tifffile.imwrite(paths[number], frame, **options)
    paths[5].write_bytes(paths[5].read_bytes() + bytes(100))

    with open_tiff_folder(tmp_path, paths) as movie:
        assert movie.read(range(6))[:, 2, 3].tolist() == list(range(6))


def test_an_image_that_is_cut_short_is_named_and_not_filled_up(
    images: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = images([1, 2, 3])
    paths[1].write_bytes(paths[1].read_bytes()[:-20])

    with open_tiff_folder(tmp_path, paths) as movie:
        assert movie.read([0, 2])[:, 0, 0].tolist() == [1, 3]
        with pytest.raises(FileFormatError, match=r"img_2\.tif"):
            movie.read([1])
