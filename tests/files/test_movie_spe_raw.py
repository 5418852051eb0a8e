"""Movies without a table of frames: .spe by its header, .raw by what lies beside it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.raw import open_raw
from rtsmlm.files.movies.spe import HEADER_BYTES, open_spe
from rtsmlm.settings.camera import MovieSettings

Frames = NDArray[np.uint16]
SHAPE = (6, 10)
NO_SETTINGS = MovieSettings()


@pytest.fixture
def tall(rng: np.random.Generator) -> Frames:
    """Seven frames that are wider than high, so that swapped axes show."""
    return rng.poisson(200, (7, *SHAPE)).astype(np.uint16)


def spe_of(
    folder: Path, stored: np.ndarray, kind: int, *, exposure_s: float = 0.0, gap: int = 0,
    version: float = 2.5, footer: str = "",
) -> Path:  # fmt: skip
    n, height, width = stored.shape
    body = b"".join(frame.tobytes() + bytes(gap) for frame in stored)
    header = bytearray(HEADER_BYTES)
    for offset, code, value in (
        (10, "<f", exposure_s), (42, "<H", width), (108, "<h", kind), (656, "<H", height),
        (678, "<Q", HEADER_BYTES + len(body)), (1446, "<i", n), (1992, "<f", version),
    ):  # fmt: skip
        struct.pack_into(code, header, offset, value)
    path = folder / "movie.spe"
    path.write_bytes(bytes(header) + body + footer.encode())
    return path


@pytest.mark.parametrize(
    ("kind", "dtype"), [(0, "<f4"), (1, "<i4"), (2, "<i2"), (3, "<u2"), (5, "<f8"), (6, "u1"),
                        (8, "<u4")],
)  # fmt: skip
def test_an_spe_of_every_data_type_gives_its_values(
    tall: Frames, tmp_path: Path, kind: int, dtype: str
) -> None:
    path = spe_of(tmp_path, (tall % 256).astype(dtype), kind, exposure_s=0.05)

    with open_spe(path) as movie:
        assert (movie.shape, movie.n_frames) == (SHAPE, 7)
        assert movie.exposure_ms == pytest.approx(50.0)
        np.testing.assert_array_equal(movie.read(range(7)), tall % 256)


def test_an_spe_of_version_3_tells_stride_and_exposure_in_its_footer(
    tall: Frames, tmp_path: Path
) -> None:
    footer = (
        '<SpeFormat><DataBlock type="Frame" count="7" stride="152"/>'
        "<ExposureTime type='Double'>12.5</ExposureTime></SpeFormat>"
    )
    path = spe_of(tmp_path, tall, 3, gap=32, version=3.0, footer=footer)

    with open_spe(path) as movie:
        assert movie.describe()["format"] == "SPE 3.0"
        assert movie.exposure_ms == 12.5
        np.testing.assert_array_equal(movie.read(range(7)), tall)


@pytest.mark.parametrize("footer", ["", "<SpeFormat><DataBlock type=", "\xff\0" * 300])
def test_a_damaged_footer_costs_no_frame(tall: Frames, tmp_path: Path, footer: str) -> None:
    path = spe_of(tmp_path, tall, 3, version=3.0, footer=footer)

    with open_spe(path) as movie:
        assert movie.exposure_ms is None
        np.testing.assert_array_equal(movie.read(range(7)), tall)


def test_an_spe_shorter_than_its_header_is_refused_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "movie.spe"
    path.write_bytes(bytes(HEADER_BYTES - 1))

    with pytest.raises(FileFormatError, match=f"has {HEADER_BYTES - 1} bytes"):
        open_spe(path)


def picasso_raw_of(folder: Path, frames: Frames, *lines: str, order: str = "<") -> Path:
    (folder / "movie.raw").write_bytes(frames.astype(f"{order}u2").tobytes())
    (folder / "movie.yaml").write_text("\n".join(["Height: 6", "Width: 10", *lines]))
    return folder / "movie.raw"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picasso_sidecar_states_the_byte_order(tall: Frames, tmp_path: Path, order: str) -> None:
    path = picasso_raw_of(tmp_path, tall, f"Byte Order: '{order}'", "Frames: 7", order=order)

    with open_raw(path, NO_SETTINGS) as movie:
        assert movie.describe()["format"] == "Picasso raw"
        np.testing.assert_array_equal(movie.read(range(7)), tall)


@pytest.mark.parametrize("stated", [0, 6, 9])
def test_where_a_sidecar_states_another_number_all_frames_are_read_and_both_numbers_said(
    tall: Frames, tmp_path: Path, stated: int
) -> None:
    with open_raw(picasso_raw_of(tmp_path, tall, f"Frames: {stated}"), NO_SETTINGS) as movie:
        np.testing.assert_array_equal(movie.read(range(7)), tall)
        [difference] = movie.account.differences
        assert difference == f"movie.yaml states {stated} frames, 7 are there and read"


def test_a_sidecar_of_a_shorter_movie_whose_frames_do_not_fit_is_of_another_movie(
    tall: Frames, tmp_path: Path
) -> None:
    path = picasso_raw_of(tmp_path, tall, "Frames: 6")
    path.write_bytes(path.read_bytes() + bytes(10))

    with pytest.raises(FileFormatError, match=r"movie.yaml states 6 of them; it belongs to anoth"):
        open_raw(path, NO_SETTINGS)


def test_a_picasso_sidecar_without_a_length_takes_all_frames(tall: Frames, tmp_path: Path) -> None:
    with open_raw(picasso_raw_of(tmp_path, tall), NO_SETTINGS) as movie:
        assert movie.n_frames == 7


@pytest.mark.parametrize("sidecar", ["movie_metadata.txt", "metadata.txt"])
def test_micromanager_metadata_describe_a_raw_movie_and_say_when_it_was_stopped(
    tall: Frames, tmp_path: Path, sidecar: str
) -> None:
    path = tmp_path / "movie.ome.raw"
    path.write_bytes(tall.astype(">u2").tobytes())
    summary = '{"Width": 10, "Height": 6, "PixelType": "GRAY16", "Frames": 5000}'
    frame = '{"Camera": "Cam", "Exposure-ms": 30.0}'
    (tmp_path / sidecar).write_text(f'{{"Summary": {summary}, "FrameKey-0-0-0": {frame}}}')

    with open_raw(path, NO_SETTINGS) as movie:
        described = movie.describe()
        assert (movie.n_frames, movie.exposure_ms) == (7, 30.0)
        assert f"the plan in {sidecar} states 5000 frames" in described["difference"]
        assert "big-endian judging by the pixels" in described["note"]
        np.testing.assert_array_equal(movie.read(range(7)), tall)


@pytest.mark.parametrize(
    ("times_ms", "believed"),
    [
        ([0, 10, 20, 30, 40, 50, 60], True),
        ([5, 15, 26, 34, 47, 55, 66], True),
        ([0, 10, 20, 30, 40, 50], False),
        ([0, 10, 20, 15, 40, 50, 60], False),
        ([7] * 7, False),
    ],
    ids=["even", "uneven", "one missing", "going back", "standing still"],
)
def test_times_are_taken_where_every_frame_has_one_and_they_rise(
    tall: Frames, tmp_path: Path, times_ms: list[int], believed: bool
) -> None:
    path = tmp_path / "movie.raw"
    path.write_bytes(tall.astype(">u2").tobytes())
    entries = ['"Summary": {"Width": 10, "Height": 6}'] + [
        f'"FrameKey-{k}-0-0": {{"ElapsedTime-ms": {time_ms}}}' for k, time_ms in enumerate(times_ms)
    ]
    (tmp_path / "movie_metadata.txt").write_text("{" + ",\n".join(entries) + "}")

    with open_raw(path, NO_SETTINGS) as movie:
        times_ns = movie.t_exposure_end_ns

    if believed:
        assert times_ns is not None
        assert (np.diff(times_ns) == 1_000_000 * np.diff(times_ms)).all()
    else:
        assert times_ns is None
