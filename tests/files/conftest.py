"""Writers of small movies in every format that `open_movie` reads, as other programs write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

Frames = NDArray[np.uint16]
Write = Callable[[Path, Frames], Path]


def plain_tiff(folder: Path, frames: Frames) -> Path:
    """One directory, its pixels, the next directory: as camera software streams."""
    path = folder / "movie.tif"
    with tifffile.TiffWriter(path, byteorder="<") as writer:
        for frame in frames:
            writer.write(frame, contiguous=False, metadata=None)
    return path


def compressed_tiff(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.tif"
    tifffile.imwrite(path, frames, compression="zlib")
    return path


def big_tiff(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.btf"
    tifffile.imwrite(path, frames, bigtiff=True)
    return path


def imagej_tiff(folder: Path, frames: Frames) -> Path:
    """Big-endian, 0.16 µm pixels."""
    path = folder / "movie.tif"
    tifffile.imwrite(
        path,
        frames.astype(">u2"),
        imagej=True,
        resolution=(1 / 0.16, 1 / 0.16),
        metadata={"axes": "TYX", "unit": "micron"},
    )
    return path


def ome_tiff(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.ome.tif"
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.11, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(path, frames, ome=True, metadata=metadata)
    return path


def ndtiff(folder: Path, frames: Frames) -> Path:
    """Two TIFF files and an index."""
    data = folder / "data"
    data.mkdir()
    half = (len(frames) + 1) // 2
    entries: list[bytes] = []
    for number, part in enumerate((frames[:half], frames[half:])):
        name = f"data_NDTiffStack{f'_{number}' if number else ''}.tif"
        with tifffile.TiffWriter(data / name, byteorder="<") as writer:
            for frame in part:
                writer.write(frame, contiguous=False, metadata=None)
        tags = {"Camera": "Cam", "PixelSizeUm": 0.13, "Exposure-ms": 20.0}
        with (data / name).open("ab") as file:
            tags_at = file.tell()
            file.write(json.dumps(tags).encode())
        with tifffile.TiffFile(data / name) as tif:
            offsets = [page.dataoffsets[0] for page in tif.pages]
        height, width = frames.shape[1:]
        for k, offset in enumerate(offsets):
            axes = json.dumps({"time": number * half + k, "channel": "DAPI"}).encode()
            entries.append(
                struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name.encode()
                + struct.pack("<8I", offset, width, height, 1, 0, tags_at, len(json.dumps(tags)), 0)
            )  # fmt: skip
    (data / "NDTiff.index").write_bytes(b"".join(entries))
    return data


def micromanager_raw(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.ome.raw"
    path.write_bytes(frames.astype(">u2").tobytes())
    n, height, width = frames.shape
    summary = {"Width": width, "Height": height, "PixelType": "GRAY16", "Frames": n}
    metadata: dict[str, Any] = {"Summary": summary}
    for k in range(n):
        metadata[f"FrameKey-{k}-0-0"] = {
            "Camera": "Ham",
            "PixelSizeUm": 0.065,
            "Exposure-ms": 50.0,
            "ElapsedTime-ms": 1000.0 + 51 * k,
            "Ham-CONVERSION FACTOR COEFF": "0.46",
            "Ham-CONVERSION FACTOR OFFSET": "100.0",
        }
    (folder / "movie_metadata.txt").write_text(json.dumps(metadata, indent=1))
    return path


def picasso_raw(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.raw"
    path.write_bytes(frames.tobytes())
    n, height, width = frames.shape
    (folder / "movie.yaml").write_text(
        f"Byte Order: '<'\nCamera: Andor\nData Type: uint16\nFrames: {n}\nHeight: {height}\n"
        f"Width: {width}\nPixelsize: 130\nBaseline: 200\nSensitivity: 15.6\nGain: 300\n"
    )
    return path


def dax(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.dax"
    path.write_bytes(frames.astype(">u2").tobytes())
    n, height, width = frames.shape
    (folder / "movie.inf").write_text(
        "data type = 16 bit integers (binary, big endian)\n"
        f"frame dimensions = {width} x {height}\nnumber of frames = {n}\n"
    )
    return path


def dax_without_inf(folder: Path, frames: Frames) -> Path:
    path = dax(folder, frames)
    path.with_suffix(".inf").unlink()
    return path


def spe(folder: Path, frames: Frames) -> Path:
    header = bytearray(4100)
    n, height, width = frames.shape
    fields = {10: ("<f", 0.03), 42: ("<H", width), 108: ("<h", 3), 656: ("<H", height)}
    for offset, (code, value) in {**fields, 1446: ("<i", n), 1992: ("<f", 2.5)}.items():
        struct.pack_into(code, header, offset, value)
    path = folder / "movie.SPE"
    path.write_bytes(bytes(header) + frames.tobytes())
    return path


def npy(folder: Path, frames: Frames) -> Path:
    path = folder / "movie.npy"
    np.save(path, frames)
    return path


def ome_zarr_04(folder: Path, frames: Frames) -> Path:
    """Zarr 2, five axes, compressed, chunks of three frames."""
    path = folder / "movie.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    shape = (len(frames), 1, 1, *frames.shape[1:])
    array = group.create_array("0", shape=shape, chunks=(3, 1, 1, *shape[3:]), dtype="<u2")
    array[:] = frames[:, None, None]
    axes: list[Any] = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = {"type": "scale", "scale": [1.0, 1.0, 1.0, 0.108, 0.108]}
    datasets: list[Any] = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def recording(folder: Path, frames: Frames) -> Path:
    """One of ours after a kill: length unknown, no tidying; chunks of four frames."""
    run = folder / "run"
    run.mkdir()
    group = zarr.open_group(run / "raw.ome.zarr", mode="w", zarr_format=3)
    n, height, width = frames.shape
    array = group.create_array(
        "0", shape=(2**31 - 1, height, width), chunks=(4, height, width), dtype="<u2",
        compressors=None,
    )  # fmt: skip
    array[:n] = frames
    axes: list[Any] = [{"name": name} for name in "tyx"]
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
    }
    ours = {"pixel_nm": 108.0, "offset_adu": 99.5, "e_per_adu": 0.5, "exposure_ms": 10.0}
    group.attrs.update({"ome": ome, "rtsmlm": ours})
    records = np.zeros(n, dtype=[("index", "<i8"), ("t_ns", "<i8"), ("activation_power", "<f8")])
    records["index"] = np.arange(n) + np.arange(n) // 5  # the camera lost every sixth frame
    records["t_ns"] = 10_000_000 * records["index"] + 7
    records["activation_power"] = 0.25 * np.arange(n)
    (run / "raw_index.bin").write_bytes(records.tobytes())
    return run


SAMPLES: dict[str, Write] = {
    write.__name__: write
    for write in (
        plain_tiff, compressed_tiff, big_tiff, imagej_tiff, ome_tiff, ndtiff, micromanager_raw,
        picasso_raw, dax, dax_without_inf, spe, npy, ome_zarr_04, recording,
    )
}  # fmt: skip


@pytest.fixture(params=list(SAMPLES))
def any_format(request: pytest.FixtureRequest) -> Write:
    """Return a writer of movies, one format after the other."""
    return SAMPLES[request.param]


@pytest.fixture
def sample() -> dict[str, Write]:
    """Return the writers of movies by name."""
    return SAMPLES


@pytest.fixture
def frames(rng: np.random.Generator) -> Frames:
    """Return 11 square frames that look like a camera's and carry their number in a corner."""
    made = rng.poisson(150, (11, 32, 32)).astype(np.uint16)
    made[:, 0, 0] = 1000 + np.arange(11)
    return made
