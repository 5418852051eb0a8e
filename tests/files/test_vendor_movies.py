"""Movies of vendors through one door: frames as they are, and the line that installs a reader."""

from __future__ import annotations

import importlib.util
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import MOVIE_SUFFIXES, open_movie
from rtsmlm.files.movies.vendor import SUFFIXES, vendor_of


def write_nd2(path: Path, frames: np.ndarray) -> None:
    """Write an .nd2 of version 2, whose attributes are XML."""
    n, height, width = frames.shape
    stated = {
        "uiWidth": width, "uiWidthBytes": width * 2, "uiHeight": height, "uiComp": 1,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": n, "uiTileWidth": width,
        "uiTileHeight": height, "eCompression": 2, "dCompressionParam": 0, "ePixelType": 1,
        "uiVirtualComponents": 1,
    }  # fmt: skip
    fields = "".join(f"<{k} runtype='lx_uint32' value='{v}'/>" for k, v in stated.items())
    xml = (
        f"<?xml version='1.0' encoding='UTF-8'?><variant version='1.0'>"
        f"<no_name runtype='CLxListVariant'>{fields}</no_name></variant>"
    )
    places: dict[bytes, tuple[int, int]] = {}
    out = bytearray()

    def chunk(name: bytes, data: bytes, reserved: int) -> None:
        places[name] = len(out), len(data)
        out.extend(struct.pack("<IIQ", 0x0ABECEDA, reserved, len(data)))
        out.extend(name.ljust(reserved, b"\0") + data)

    chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.0".ljust(64, b"\0"), 32)
    chunk(b"ImageAttributes!", xml.encode(), 4072)
    picture = (
        "<?xml version='1.0' encoding='UTF-8'?><variant version='1.0'>"
        "<no_name runtype='CLxListVariant'><dCalibration runtype='double' value='0.108'/>"
        "<bCalibrated runtype='bool' value='true'/><sPicturePlanes runtype='CLxListVariant'>"
        "<uiCount runtype='lx_uint32' value='1'/><sPlaneNew runtype='CLxListVariant'>"
        "<a0 runtype='CLxListVariant'><uiCompCount runtype='lx_uint32' value='1'/></a0>"
        "</sPlaneNew></sPicturePlanes></no_name></variant>"
    )
    chunk(b"ImageMetadataSeq|0!", picture.encode(), 4072)
    for k, frame in enumerate(frames):
        data = struct.pack("<d", 10.0 * k) + frame.astype("<u2").tobytes()
        chunk(b"ImageDataSeq|%d!" % k, data, 4072)
    where = len(out)
    listed = b"".join(name + struct.pack("<QQ", *place) for name, place in places.items())
    chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listed + b"ND2 CHUNK MAP SIGNATURE 0000001!", 32)
    out += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", where)
    path.write_bytes(out)


def write_czi(path: Path, frames: np.ndarray, pixel_m: float) -> None:
    """Write a .czi by the package of its vendor."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True) as document:
        for k, frame in enumerate(frames):
            document.write(frame[..., None], plane={"T": k})
        document.write_metadata("movie", scale_x=pixel_m, scale_y=pixel_m)


def write_lif(path: Path, frames: np.ndarray, pixel_m: float) -> None:
    """Write a .lif of version 2 with one image."""
    n, height, width = frames.shape
    ids, sides, steps = (1, 2, 4), (width, height, n), (2, 2 * width, 2 * width * height)
    lengths = (pixel_m * (width - 1), pixel_m * (height - 1), float(n))
    units = ("m", "m", "s")
    axes = "".join(
        f"<DimensionDescription DimID='{a}' NumberOfElements='{b}' Origin='0' Length='{c}' "
        f"Unit='{u}' BitInc='0' BytesInc='{d}'/>"
        for a, b, c, u, d in zip(ids, sides, lengths, units, steps, strict=True)
    )
    xml = (
        "<LMSDataContainerHeader Version='2'><Element Name='a' Visibility='1'><Data/><Children>"
        "<Element Name='movie' Visibility='1'><Data><Image TextDescription=''><ImageDescription>"
        "<Channels><ChannelDescription DataType='0' ChannelTag='0' Resolution='16' "
        "NameOfMeasuredQuantity='' Min='0' Max='65535' Unit='' LUTName='Gray' IsLUTInverted='0' "
        f"BytesInc='0' BitInc='0'/></Channels><Dimensions>{axes}</Dimensions></ImageDescription>"
        f"</Image></Data><Memory Size='{frames.size * 2}' MemoryBlockID='MemBlock_1'/><Children/>"
        "</Element></Children></Element></LMSDataContainerHeader>"
    )
    name = "MemBlock_1"
    data = frames.astype("<u2").tobytes()
    path.write_bytes(
        struct.pack("<IIBI", 0x70, 5 + 2 * len(xml), 0x2A, len(xml))
        + xml.encode("utf-16-le")
        + struct.pack("<IIBQBI", 0x70, 0, 0x2A, len(data), 0x2A, len(name))
        + name.encode("utf-16-le")
        + data
    )


def write_sif(path: Path, frames: np.ndarray, exposure_s: float) -> None:
    """Write an Andor .sif of version 65559."""
    n, height, width = frames.shape
    many = " ".join(["0"] * 16)
    timing = f"{exposure_s} {exposure_s} {exposure_s} 1"
    lines = [
        "Andor Technology Multi-Channel File", "65538 1",
        f"65559 0 0 1 1540956289 -70 {' ' * 10}0 {timing} \0 {exposure_s} 1e-08 0 1 5.0 0 0 "
        f"0.0 {many} 0 end",
        "DU897_BV", f"{width} {height} 4", "a.x ", "65538 0", "", "65538 ",
    ]  # fmt: skip
    head = "\n".join(lines).encode() + b"\x01 \x02 \x03 \x04 0 0\n"
    rest = ["skip"] * 8 + ["skip spectrograph x"]
    rest += ["65539 0 0 0", "0 1 0 0", "0 1 0 0", "0", "422", "13", "13"]
    tail = "\n".join(rest) + "\n" + "12\nPixel number6\nCounts12\nPixel number"
    frame = f"65541 1 {height} {width} 1 {n} 1 {frames.size} {height * width}\n"
    area = f"65538 1 {height} {width} 1 1 1 0\n" + "0\n" * n
    data = frames.astype("<f4").tobytes()
    path.write_bytes(head + tail.encode() + frame.encode() + area.encode() + b"0\n" + data)


def write_dcimg(path: Path, frames: np.ndarray) -> None:
    """Write a .dcimg of the newer kind (0x1000000), with time stamps over four pixels of line 2."""
    n, height, width = frames.shape
    image_bytes = width * height * 2
    head = bytearray(1024)
    head[:5] = b"DCIMG"
    struct.pack_into("<I", head, 8, 0x1000000)
    struct.pack_into("<II", head, 0x20, 1, n)
    struct.pack_into("<I", head, 0x28, 64)
    session = 64
    offset = 1024 - session
    struct.pack_into("<7I", head, session + 60, n, 2, 0, width, height, width * 2, image_bytes)
    struct.pack_into("<Q", head, session + 60 + 28 + 8, offset)
    line = 2
    struct.pack_into("<4H", head, session + 712, 0, width, 1023 - line, height)
    out = bytearray(head)
    for k, frame in enumerate(frames.astype("<u2")):
        stamped = frame.copy()
        stamped[line, :4] = k
        out += stamped.tobytes() + struct.pack("<III", k, k, 0)
        out += frame[line, :4].tobytes() + bytes(12)
    path.write_bytes(out)


FRAMES = (100 + np.arange(5 * 6 * 8).reshape(5, 6, 8)).astype(np.uint16)
PIXEL_M = 108e-9
WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    ".nd2": ("nd2", lambda path: write_nd2(path, FRAMES)),
    ".czi": ("pylibCZIrw", lambda path: write_czi(path, FRAMES, PIXEL_M)),
    ".lif": ("liffile", lambda path: write_lif(path, FRAMES, PIXEL_M)),
    ".sif": ("sif_parser", lambda path: write_sif(path, FRAMES, 0.03)),
    ".dcimg": ("numpy", lambda path: write_dcimg(path, FRAMES)),
}


@pytest.fixture(params=WRITERS)
def movie_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a small movie of each vendor; needs the extra `movies`."""
    package, write = WRITERS[request.param]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package} of the extra movies")
    path = tmp_path / f"a{request.param}"
    write(path)
    return path


def test_every_frame_is_read_as_it_was_written(movie_file: Path) -> None:
    with open_movie(movie_file) as movie:
        assert movie.shape == FRAMES.shape[1:]
        assert movie.n_frames == len(FRAMES)
        assert np.array_equal(movie.read(range(len(FRAMES))), FRAMES)
        if movie_file.suffix in (".czi", ".lif"):
            assert movie.stated.pixel_nm == pytest.approx(108.0)
        if movie_file.suffix == ".sif":
            assert movie.exposure_ms == pytest.approx(30.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # theirs
def test_of_a_file_that_is_cut_no_frame_is_made_up(movie_file: Path) -> None:
    whole = movie_file.read_bytes()
    for part in (0.02, 0.3, 0.7, 0.95):
        movie_file.write_bytes(whole[: int(len(whole) * part)])

        try:
            with open_movie(movie_file) as movie:
                frames = movie.read(range(movie.n_frames))
        except FileFormatError:
            continue
        assert np.array_equal(frames, FRAMES[: len(frames)])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_its_package_a_file_names_the_line_that_installs_it(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = {
        ".nd2": b"\xda\xce\xbe\x0a", ".czi": b"ZISRAWFILE", ".lif": b"\x70\0\0\0",
        ".sif": b"Andor Technology Multi-Channel File\n",
    }  # fmt: skip
    package, _ = WRITERS[suffix]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.czi", None)
    path = tmp_path / "named"
    path.write_bytes(heads[suffix] + bytes(64))

    assert vendor_of(path.read_bytes()[:16]) == suffix
    assert suffix in MOVIE_SUFFIXES
    with pytest.raises(FileFormatError, match=r"pip install .*\[movies\]"):
        open_movie(path)
