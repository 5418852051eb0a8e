"""Files that the pages name and a reader brings along: movies, configurations, tables, runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tifffile
import tomli_w
from scipy.stats import norm
from typer.testing import CliRunner

from rtsmlm.cli import app
from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import Table
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import WidthCurve

ROOT = Path(__file__).parents[2]
OFFSET_ADU, E_PER_ADU, READ_E = 100.0, 0.5, 1.5
PIXEL_NM, SIGMA_NM = 100.0, 130.0
VIEW_PX = 64
Maker = Callable[[Path, "Drawn"], object]
CAMERA = {
    "offset_adu": OFFSET_ADU,
    "e_per_adu": E_PER_ADU,
    "read_noise_e": READ_E,
    "pixel_nm": PIXEL_NM,
}


class Drawn:
    """Draws spots with a seed, for one temporary folder."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)

    def write(self, path: Path, electrons: np.ndarray) -> None:
        noise = self.rng.normal(0, READ_E, electrons.shape)
        adu = OFFSET_ADU + (self.rng.poisson(electrons) + noise) / E_PER_ADU
        pixels = np.clip(np.rint(adu), 0, 65535).astype(np.uint16)
        tifffile.imwrite(path, pixels, photometric="minisblack")

    def spots(
        self, image: np.ndarray, places: np.ndarray, photons: float, sigma_px: tuple[float, float]
    ) -> None:
        """Add Gaussian spots, integrated over pixels, at x and y in pixels."""
        (height, width), (sigma_x, sigma_y) = image.shape, sigma_px
        for x, y in places:
            columns = np.diff(norm.cdf(np.arange(width + 1) - 0.5, x, sigma_x))
            rows = np.diff(norm.cdf(np.arange(height + 1) - 0.5, y, sigma_y))
            image += photons * rows[:, None] * columns

    def grid(self, step_px: float = 14.0, side_px: int = VIEW_PX) -> np.ndarray:
        at = np.arange(12.0, side_px - 10, step_px)
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        return grid + self.rng.uniform(-2.0, 2.0, grid.shape)

    def light(self, path: Path, level_e: float) -> None:
        self.write(path, np.full((150, VIEW_PX, VIEW_PX), level_e))

    def movie(self, path: Path, n_frames: int = 40, views: int = 1, share: float = 0.5) -> None:
        """Spots in one view, or the same ones in two with a share of the light in the first."""
        side = VIEW_PX * views
        frames = np.full((n_frames, side, side * views), 8.0)
        sigma = (SIGMA_NM / PIXEL_NM,) * 2
        for frame in frames:
            places = self.grid(side_px=side)
            shares = (1.0,) if views == 1 else (share, 1.0 - share)
            for part, light in zip(np.split(frame, views, axis=1), shares, strict=True):
                self.spots(part, places, 3000.0 * light, sigma)
        self.write(path, frames)

    def pair(self, folder: Path, first: str, second: str, n_frames: int, jitter_px: float) -> None:
        """Two cameras at once: the second sees the same spots a little shifted."""
        side = VIEW_PX if jitter_px else 2 * VIEW_PX
        both = np.full((2, n_frames, side, side), 8.0)
        for frame in range(n_frames):
            if frame == 0 or jitter_px:
                places = self.grid(14.0 if jitter_px else 20.0, side)
            for k, view in enumerate(both):
                self.spots(view[frame], places + k * 0.7, 8000.0, (SIGMA_NM / PIXEL_NM,) * 2)
        for name, frames in zip((first, second), both, strict=True):
            self.write(folder / name, frames)

    def pair_on_one(self, path: Path) -> None:
        """Beads in both halves of one chip."""
        self.pair(path.parent, "left.tif", "right.tif", 5, 0.0)
        halves = [tifffile.imread(path.parent / f"{side}.tif") for side in ("left", "right")]
        tifffile.imwrite(path, np.concatenate(halves, axis=2), photometric="minisblack")

    def beads(self, path: Path, curves: tuple[WidthCurve, WidthCurve], z_nm: np.ndarray) -> None:
        """A stack of bright beads of these widths at each z."""
        frames = np.full((len(z_nm), 120, 120), 20.0)
        at = np.arange(20.0, 110.0, 27.0)
        places = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        places += self.rng.uniform(-1, 1, places.shape)
        for frame, z in zip(frames, z_nm, strict=True):
            widths = [float(curve.sigma_nm(z)) / PIXEL_NM for curve in curves]
            self.spots(frame, places, 20_000.0, (widths[0], widths[1]))
        self.write(path, frames)


ROUND = WidthCurve(sigma0_nm=SIGMA_NM, focus_nm=0.0, depth_nm=400.0)
ALONG_X = WidthCurve(sigma0_nm=SIGMA_NM, focus_nm=-220.0, depth_nm=380.0)
ALONG_Y = WidthCurve(sigma0_nm=SIGMA_NM, focus_nm=240.0, depth_nm=400.0)


def _rows(drawn: Drawn) -> Localizations:
    """Rows of five filaments in a field of 6 µm, which drifts by 40 nm."""
    rng, n = drawn.rng, 20_000
    frame = np.sort(rng.integers(0, 2000, n))
    along, line = rng.uniform(0, 6000, n), rng.integers(0, 5, n) * 1200.0 + 300.0
    moved = rng.normal(0, 10, (2, n)) + frame * 0.02
    columns = {
        "frame": frame,
        "x_nm": along + moved[0],
        "y_nm": line + 0.1 * along + moved[1],
        "photons": np.full(n, 1500.0),
        "background": np.full(n, 10.0),
        "std_x_nm": np.full(n, 10.0),
        "std_y_nm": np.full(n, 10.0),
    }
    return Localizations.from_columns(columns)


def _table(path: Path, drawn: Drawn, kind: str) -> None:
    table = Table(_rows(drawn), {"pixel_nm": PIXEL_NM, "shape": [VIEW_PX, VIEW_PX]})
    folder = path.parent / "made"
    folder.mkdir(exist_ok=True)
    export(table, [kind], folder)
    (folder / f"localizations{path.suffix}").rename(path)
    for more in folder.glob("*.yaml"):
        more.rename(path.with_suffix(".yaml"))


def _rig(path: Path, drawn: Drawn) -> None:
    settings = {"camera": CAMERA, "psf": {"sigma_nm": SIGMA_NM}}
    path.write_text(tomli_w.dumps(settings), encoding="utf-8")


def _of_init(path: Path, drawn: Drawn) -> None:
    done = CliRunner().invoke(app, ["init", "hil_sim.cfg", "--yes", "--out", str(path)])
    assert done.exit_code == 0, done.output


def _plan(path: Path, drawn: Drawn) -> None:
    at = [{"x": 0.0, "y": 0.0}, {"x": 100.0, "y": 0.0}]
    plan = {"axis_order": "pt", "stage_positions": at, "time_plan": {"interval": 0, "loops": 20}}
    path.write_text(json.dumps(plan), encoding="utf-8")


def _emu(path: Path, drawn: Drawn) -> None:
    one = {"configurationName": "a", "properties": {"Laser 0 power": "Laser405-PowerSetpoint"}}
    path.write_text(json.dumps({"pluginConfigurations": [one]}), encoding="utf-8")


def _run(path: Path, drawn: Drawn) -> None:
    """What a short run leaves."""
    quick = ("localizer.name=gaussian-mle", "psf.sigma_nm=130", "pipeline.process=false")
    words = ["live", "--headless", "--frames", "200", "--out", str(path)]
    done = CliRunner().invoke(app, [*words, *(w for q in quick for w in ("--set", q))])
    assert done.exit_code == 0, (done.output, done.exception)


def _psf_table(path: Path, drawn: Drawn) -> None:
    beads = path.with_name("beads.tif")
    drawn.beads(beads, (ROUND, ROUND), np.arange(-1000.0, 1001.0, 50.0))
    options = ["--z-step-nm", "50", "--table", "--pixel-nm", "110", "--out", str(path.parent)]
    done = CliRunner().invoke(app, ["calibrate", "psf", str(beads), *options])
    assert done.exit_code == 0, (done.output, done.exception)


def _through_focus(step_nm: float, *curves: WidthCurve) -> Maker:
    z_nm = np.arange(-600.0, 601.0, step_nm)
    return lambda path, drawn: drawn.beads(path, (curves[0], curves[-1]), z_nm)


def _pair(first: str, second: str, n_frames: int, jitter_px: float) -> Maker:
    return lambda path, drawn: drawn.pair(path.parent, first, second, n_frames, jitter_px)


def _copy(of: str) -> Maker:
    source = ROOT / of
    copy = shutil.copytree if source.is_dir() else shutil.copyfile
    return lambda path, drawn: copy(source, path)


MAKERS: dict[str, Maker] = {
    "movie.tif": lambda path, drawn: drawn.movie(path),
    "movie.ome.tif": lambda path, drawn: drawn.movie(path, 4),
    "data": lambda path, drawn: (path.mkdir(), drawn.movie(path / "movie.tif"))[1],
    "dark.tif": lambda path, drawn: drawn.light(path, 0.0),
    "in_focus.tif": lambda path, drawn: drawn.beads(path, (ROUND, ROUND), np.zeros(70)),
    "beads.tif": _through_focus(50.0, ROUND),
    "astigmatic.tif": _through_focus(20.0, ALONG_X, ALONG_Y),
    "short.tif": _pair("short.tif", "long.tif", 20, 2.0),
    "af647.tif": lambda path, drawn: drawn.movie(path, 20, 2, 0.7),
    "cf680.tif": lambda path, drawn: drawn.movie(path, 20, 2, 0.35),
    "mask.mat": lambda path, drawn: scipy.io.savemat(path, {"mask": np.zeros((200, 200))}),
    "rig.toml": _rig,
    "my_rig.toml": _of_init,
    "rig.cfg": _copy("configs/hil_sim.cfg"),
    "scope.cfg": _copy("configs/sim_microscope.cfg"),
    "rig.uicfg": _emu,
    "plan.yaml": _plan,
    "table.csv": lambda path, drawn: _table(path, drawn, "csv"),
    "table.hdf5": lambda path, drawn: _table(path, drawn, "picasso"),
    "my-model": _copy("models/weights/flagship-2d-fast"),
    "psf/psf_table.npz": _psf_table,
    "out/first": _run,
    "out/cell-3": _run,
    "out/2026-03-01_14-30-00": _run,
    "models/recipes": _copy("models/recipes"),
    "examples": _copy("examples"),
    "docs/benchmarks": _copy("docs/benchmarks"),
}
"""What a page may name without having made it, by its path in the folder of the reader."""
OF_A_PAGE: dict[str, dict[str, Maker]] = {
    "rehearse.md": {"rig.toml": _copy("configs/hil_sim.toml")},
    "two-colours.md": {"movie.tif": lambda path, drawn: drawn.movie(path, 20, 2)},
}
for n, level in enumerate((50.0, 200.0, 800.0), start=1):
    MAKERS[f"light{n}.tif"] = lambda path, drawn, e=level: drawn.light(path, e)
for n in (1, 2):
    MAKERS[f"short{n}.tif"] = _pair(f"short{n}.tif", f"long{n}.tif", 5, 0.0)
    MAKERS[f"beads{n}.tif"] = lambda path, drawn: drawn.pair_on_one(path)


@pytest.fixture
def provide(tmp_path: Path) -> Callable[[str, str], None]:
    """Return a function that makes what a text of a page names and is not there yet."""
    drawn = Drawn()

    def make(text: str, page: str) -> None:
        text = re.sub(r"--out \S+", "", text.replace(" ./", " "))
        for name, maker in (MAKERS | OF_A_PAGE.get(page, {})).items():
            path = tmp_path / name
            named = re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])", text)
            if named and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                maker(path, drawn)

    return make
