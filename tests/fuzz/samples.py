"""Small files of every format that rtsmlm reads, and what is asked of each after damage."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtsmlm.files.camera_maps import load_camera_maps
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.laser_log import LaserLog, read_laser_log
from rtsmlm.files.tables.arrow_file import ArrowStreamFile, iter_arrow_batches
from rtsmlm.files.tables.export import FILE_NAMES, export
from rtsmlm.files.tables.insight3 import MAGIC, RECORD
from rtsmlm.files.tables.read import Table, frames_of_run, read_table
from rtsmlm.localizations import Localizations
from rtsmlm.settings.camera import CameraMaps
from rtsmlm.settings.load import load, packaged


@dataclass(frozen=True, slots=True)
class Sample:
    """One intact file or folder."""

    name: str
    files: list[Path]
    """Those that are damaged, one at a time."""
    read: Callable[[], None]
    """Reads it; raises `AssertionError` for values that cannot be."""


def samples(folder: Path) -> list[Sample]:
    """Write one of each format into a folder."""
    made: list[Sample] = []
    for name, write in _movie_writers().items():
        (folder / name).mkdir()
        path = write(folder / name, _frames())
        made.append(Sample(name, _files(folder / name), lambda path=path: _read_movie(path)))
    for sample in (_tables, _maps, _settings, _accounts, _configuration):
        made += sample(folder)
    return made


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)


def _movie_writers() -> dict[str, Callable[[Path, Any], Path]]:
    at = Path(__file__).parents[1] / "files" / "conftest.py"
    spec = importlib.util.spec_from_file_location("movie_samples", at)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    writers: dict[str, Callable[[Path, Any], Path]] = dict(module.SAMPLES)
    writers["zarr_3_gzip_shards"] = _sharded_zarr
    return writers


def _sharded_zarr(folder: Path, frames: Any) -> Path:
    import zarr

    array = zarr.create_array(
        folder / "movie.zarr", shape=frames.shape, dtype="<u2", chunks=(1, 16, 16),
        shards=(4, 32, 32), compressors=zarr.codecs.GzipCodec(),
    )  # fmt: skip
    array[:] = frames
    return folder / "movie.zarr"


def _frames() -> Any:
    return np.random.default_rng(1).poisson(150, (11, 32, 32)).astype(np.uint16)


def _read_movie(path: Path) -> None:
    with open_movie(path) as movie:
        assert movie.n_frames >= 1
        all_stated = (movie.stated, *(part.stated for part in movie.stated.parts))
        names = [name for name in movie.stated.__slots__ if name != "parts"]
        stated = [getattr(each, name) for each in all_stated for name in names]
        for value in (*stated, movie.exposure_ms):
            assert value is None or np.isfinite(value).all()
        movie.describe()
        for batch in movie.batches(4, stop=8):
            assert batch.pixels.dtype == np.uint16
        movie.read([movie.n_frames - 1])


def _rows() -> Localizations:
    rng = np.random.default_rng(2)
    columns = {name: rng.uniform(100, 3000, 60) for name in ("x_nm", "y_nm", "photons")}
    columns["std_x_nm"] = columns["std_y_nm"] = rng.uniform(5, 20, 60)
    columns["frame"] = np.arange(60.0) // 3
    return Localizations.from_columns(columns)


def check_rows(rows: Localizations) -> None:
    """Raise `AssertionError` if a row can be no localization."""
    assert ((rows.frame >= 0) & (rows.frame < 1 << 41)).all()
    for name in ("x_nm", "y_nm"):
        assert (np.abs(getattr(rows, name)) < 1.1e9).all()
    for name in ("photons", "std_x_nm", "std_y_nm", "std_z_nm", "std_photons"):
        assert not (getattr(rows, name) < 0).any()
    assert not np.isinf(rows.z_nm).any()
    assert not np.isinf(rows.photons).any()
    assert not (rows.probability > 1.001).any()


def _tables(folder: Path) -> list[Sample]:
    table = Table(_rows(), {"pixel_nm": 100.0, "shape": [32, 32]})
    made: list[Sample] = []

    def add(name: str, path: Path, read: Callable[[], None] | None = None) -> None:
        made.append(Sample(name, _files(path.parent), read or (lambda: _read_table(path))))

    for kind in FILE_NAMES:
        (folder / f"table_{kind}").mkdir()
        [path] = export(table, [kind], folder / f"table_{kind}")
        add(f"table_{kind}", path)
    (folder / "table_picasso_alone").mkdir()
    [path] = export(table, ["picasso"], folder / "table_picasso_alone")
    path.with_suffix(".yaml").unlink()
    add("table_picasso_alone", path)
    for name, read in (("table_arrow", None), ("table_pieces", _read_pieces)):
        (folder / name).mkdir()
        path = folder / name / "localizations.arrows"
        with ArrowStreamFile(path, table.metadata) as file:
            file.put(table.localizations)
            file.put(table.localizations)
        add(name, path, None if read is None else lambda path=path, read=read: read(path))
    (folder / "table_insight3").mkdir()
    path = folder / "table_insight3" / "list.bin"
    record = np.zeros(9, RECORD)
    record["frame"], record["x"], record["y"] = np.arange(1, 10), 5.5, 7.5
    path.write_bytes(MAGIC + np.array([1, 6, 9], "<i4").tobytes() + record.tobytes())
    add("table_insight3", path)
    return made


def _read_table(path: Path) -> None:
    check_rows(read_table(path, pixel_nm=100.0).localizations)


def _read_pieces(path: Path) -> None:
    for rows in iter_arrow_batches(path):
        check_rows(rows)


def _maps(folder: Path) -> list[Sample]:
    rng = np.random.default_rng(3)
    values = rng.uniform(1, 2, (32, 32)).astype(np.float32)
    (folder / "maps").mkdir()
    writers = {
        "map.npy": lambda path: np.save(path, values),
        "map.tif": lambda path: tifffile.imwrite(path, values),
        "packed.tif": lambda path: tifffile.imwrite(path, values, compression="zlib"),
    }
    made = []
    for name, write in writers.items():
        path = folder / "maps" / name
        write(path)
        made.append(Sample(name, [path], lambda path=path: _read_map(path)))
    return made


def _read_map(path: Path) -> None:
    for values in load_camera_maps(CameraMaps(gain=path)):
        assert values is None or (np.isfinite(values).all() and (values > 0).all())


def _settings(folder: Path) -> list[Sample]:
    made = []
    for name in ("hil_sim.toml", "example_rig.toml"):
        path = folder / name
        path.write_bytes(packaged(name).read_bytes())
        made.append(Sample(name, [path], lambda path=path: _read_settings(path)))
    return made


def _read_settings(path: Path) -> None:
    def check(value: object) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                check(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                check(inner)
        elif isinstance(value, float):
            assert np.isfinite(value)

    check(load(path).model_dump(exclude={"run"}))


def _accounts(folder: Path) -> list[Sample]:
    run = folder / "accounts"
    run.mkdir()
    log = LaserLog(run / "lasers.csv")
    for k in range(5):
        log.write({"t_s": k / 2, "actuator": "uv", "kind": "laser", "wanted": 1.5, "reason": "law"})
    log.close()
    (run / "ledger.json").write_text(json.dumps({"received": 400, "lost": 0, "localized": 400}))
    csv, ledger = run / "lasers.csv", run / "ledger.json"
    return [
        Sample("lasers.csv", [csv], lambda: [*read_laser_log(csv)] and None),
        Sample("ledger.json", [ledger], lambda: _read_ledger(run)),
    ]


def _read_ledger(folder: Path) -> None:
    n_frames = frames_of_run(folder)
    assert n_frames is None or 0 <= n_frames < 1 << 41


def _configuration(folder: Path) -> list[Sample]:
    """A Micro-Manager configuration that a real core loads."""
    path = folder / "rig.cfg"
    path.write_text(
        "Property,Core,Initialize,0\n"
        "#py pyDevice,UV,rtsmlm.drivers.simulated.file_laser,FileLaser\n"
        f"#py Property,UV,StateFile,{folder / 'light.json'}\n"
        "Property,Core,Initialize,1\nProperty,Core,AutoShutter,0\n"
        "ConfigPixelSize,Res100,Core,TimeoutMs,5000\nPixelSize_um,Res100,0.1\n"
    )
    return [Sample("rig.cfg", [path], lambda: _load_core(path))]


def _load_core(path: Path) -> None:
    from rtsmlm.drivers.micromanager.core import load_core, release_core
    from rtsmlm.settings.camera import MicroManagerSettings

    release_core(load_core(MicroManagerSettings(config=str(path))))
