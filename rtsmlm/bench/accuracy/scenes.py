"""Movies whose truth is known: what all localizers are measured on.

The frames are drawn by `rtsmlm.physics`, which shares no code with the simulator that networks
are trained on. Frames of emitters in no order are numbered with gaps, so that no localizer profits
from, or is misled by, neighbours that have nothing to do with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.camera import Sensor, SensorType, make_sensor
from rtsmlm.physics.fisher import astigmatic_crlb, gaussian_crlb
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf, TablePsf
from rtsmlm.physics.sampling import new_state

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

PIXEL_NM = 100.0
SIDE_PX = 256
FRAME_STEP = 2
"""Step of the numbers of unrelated frames: none is the neighbour of another."""
SPACING_PX = 32
"""Distance of isolated emitters."""
EDGE_PX = 12
JITTER_PX = 3.0
BOX_PX = 25
"""Side of the square around an emitter that its bound takes into account."""
BEYOND_PX = 4.5
"""How far outside the frame emitters are drawn too: their light falls into it."""
CALIBRATED_NM = 600.0
"""How far from focus the curves of the astigmatic PSF are given."""
EMPTY_SIGMA_PX = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The Cramér-Rao bound of isolated emitters, root mean square over them."""

    lateral_nm: float
    """Per axis."""
    axial_nm: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A movie, the settings given to localizers, and the true emitters."""

    batch: FrameBatch
    truth: Localizations
    calibration: CameraCalibration
    sigma_nm: float
    """PSF width given to localizers; of an astigmatic PSF the typical one."""
    curves: WidthCurves | None = None
    """Curves of an astigmatic PSF."""
    table: TablePsf | None = None
    """The PSF as measured on beads."""
    bound: Bound | None = None
    """Of isolated emitters only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitters:
    """Emitters by frame; all of shape (n,), ordered by frame."""

    frame: I64
    x_px: F64
    y_px: F64
    z_nm: F64
    photons: F64

    def table(self, pixel_nm: float = PIXEL_NM) -> Localizations:
        """Return them as a table of truth."""
        columns = {"frame": self.frame, "z_nm": self.z_nm, "photons": self.photons}
        places = {"x_nm": self.x_px * pixel_nm, "y_nm": self.y_px * pixel_nm}
        return Localizations.from_columns(columns | places)

    def take(self, kept: NDArray[np.bool_]) -> Emitters:
        """Return some of them."""
        x, y, z = (column[kept] for column in (self.x_px, self.y_px, self.z_nm))
        photons = self.photons[kept]
        return Emitters(frame=self.frame[kept], x_px=x, y_px=y, z_nm=z, photons=photons)


def expose(
    emitters: Emitters,
    psf: Psf,
    background: float,
    index: I64,
    shape: tuple[int, int],
    rng: np.random.Generator,
    camera: SensorType | Sensor = "ideal",
) -> tuple[FrameBatch, CameraCalibration]:
    """Draw the frames of emitters, and return the calibration of the camera with them.

    Parameters
    ----------
    emitters
        With frame numbers out of `index`.
    psf
        Their image.
    background
        Photons per pixel.
    index
        Number of each frame, ascending, shape (n,).
    shape
        Height and width of a frame in pixels.
    rng
        Draws camera and noise.
    camera
        Kind of the camera, or its chip.
    """
    sensor = camera if isinstance(camera, Sensor) else make_sensor(camera, shape, rng)
    stream = new_state(np.random.SeedSequence(int(rng.integers(2**62))))
    pixels = np.empty((len(index), *shape), dtype=np.uint16)
    first = np.searchsorted(emitters.frame, index)
    last = np.searchsorted(emitters.frame, index, side="right")
    for frame, start, stop in zip(pixels, first, last, strict=True):
        mean = np.full(shape, background, dtype=np.float32)
        here = slice(start, stop)
        e = emitters
        psf.render(mean, e.x_px[here], e.y_px[here], e.z_nm[here], e.photons[here])
        sensor.expose(mean, frame, stream)
    return FrameBatch.from_pixels(pixels, index=index), sensor.calibration(PIXEL_NM)


def isolated_scene(
    rng: np.random.Generator,
    n_frames: int,
    spot: tuple[float, float, float],
    camera: SensorType = "ideal",
) -> Scene:
    """Return frames with emitters on a loose grid, at random places around its points.

    Parameters
    ----------
    rng
        Draws all.
    n_frames
        Frames of 256 x 256 pixels with 49 emitters each.
    spot
        PSF width in pixels, photons, background photons per pixel.
    camera
        Kind of the camera.
    """
    sigma_px, photons, background = spot
    emitters = _grid(rng, n_frames, photons, 0.0)
    scene = _scene(rng, n_frames, emitters, background, GaussianPsf(sigma_px), camera)
    x, y = _in_box(emitters)
    noise = _noise(scene.calibration)
    best = gaussian_crlb(photons, background, sigma_px, box_px=BOX_PX, x_px=x, y_px=y, **noise)
    bound = Bound(lateral_nm=PIXEL_NM * _rms(best.x_px, best.y_px))
    return replace(scene, sigma_nm=sigma_px * PIXEL_NM, bound=bound)


def crowded_scene(
    rng: np.random.Generator,
    n_frames: int,
    density_um2: float,
    spot: tuple[float, float, float],
    camera: SensorType = "ideal",
) -> Scene:
    """Return frames with emitters anywhere, also beyond the edges; see `isolated_scene`."""
    sigma_px, photons, background = spot
    low, high = -0.5 - BEYOND_PX, SIDE_PX - 0.5 + BEYOND_PX
    mean = density_um2 * ((high - low) * PIXEL_NM / 1000.0) ** 2
    frame = np.repeat(FRAME_STEP * np.arange(n_frames), rng.poisson(mean, n_frames))
    n = len(frame)
    x, y = rng.uniform(low, high, (2, n))
    light = np.full(n, photons)
    emitters = Emitters(frame=frame, x_px=x, y_px=y, z_nm=np.zeros(n), photons=light)
    scene = _scene(rng, n_frames, emitters, background, GaussianPsf(sigma_px), camera)
    return replace(scene, sigma_nm=sigma_px * PIXEL_NM)


def empty_scene(
    rng: np.random.Generator, n_frames: int, background: float, camera: SensorType
) -> Scene:
    """Return frames of nothing but background."""
    none = np.empty(0)
    nothing = Emitters(frame=np.empty(0, np.int64), x_px=none, y_px=none, z_nm=none, photons=none)
    scene = _scene(rng, n_frames, nothing, background, GaussianPsf(EMPTY_SIGMA_PX), camera)
    return replace(scene, sigma_nm=EMPTY_SIGMA_PX * PIXEL_NM)


def astigmatic_scene(
    rng: np.random.Generator,
    n_frames: int,
    photons: float,
    background: float,
    half_range_nm: float,
    camera: SensorType = "ideal",
) -> Scene:
    """Return isolated emitters of an astigmatic PSF, evenly spread over z; see `isolated_scene`."""
    psf = AstigmaticPsf(pixel_nm=PIXEL_NM)
    curves = curves_of(psf)
    emitters = _grid(rng, n_frames, photons, half_range_nm)
    scene = _scene(rng, n_frames, emitters, background, psf, camera)
    x, y = _in_box(emitters)
    best = astigmatic_crlb(
        photons,
        background,
        emitters.z_nm,
        curves,
        pixel_nm=PIXEL_NM,
        box_px=BOX_PX,
        x_px=x,
        y_px=y,
        **_noise(scene.calibration),
    )
    lateral = PIXEL_NM * _rms(best.x_px, best.y_px)
    bound = Bound(lateral_nm=lateral, axial_nm=_rms(best.z_nm))
    return replace(scene, sigma_nm=curves.mean_nm(), curves=curves, bound=bound)


def curves_of(psf: AstigmaticPsf) -> WidthCurves:
    """Return what a perfect calibration of a simulated astigmatic PSF would find."""

    def curve(focus_nm: float) -> WidthCurve:
        return WidthCurve(
            sigma0_nm=psf.sigma0_nm,
            focus_nm=focus_nm,
            depth_nm=psf.d_nm,
            cubic=psf.a,
            quartic=psf.b,
        )

    return WidthCurves(
        x=curve(psf.c_nm), y=curve(-psf.c_nm), z_min_nm=-CALIBRATED_NM, z_max_nm=CALIBRATED_NM
    )


def _grid(
    rng: np.random.Generator, n_frames: int, photons: float, half_range_nm: float
) -> Emitters:
    line = np.arange(SPACING_PX, SIDE_PX - EDGE_PX, SPACING_PX, dtype=np.float64)
    y, x = (np.tile(part.ravel(), n_frames) for part in np.meshgrid(line, line, indexing="ij"))
    n = len(x)
    return Emitters(
        frame=FRAME_STEP * np.repeat(np.arange(n_frames), len(line) ** 2),
        x_px=x + rng.uniform(-JITTER_PX, JITTER_PX, n),
        y_px=y + rng.uniform(-JITTER_PX, JITTER_PX, n),
        z_nm=rng.uniform(-half_range_nm, half_range_nm, n),
        photons=np.full(n, photons),
    )


def _scene(
    rng: np.random.Generator,
    n_frames: int,
    emitters: Emitters,
    background: float,
    psf: Psf,
    camera: SensorType,
) -> Scene:
    index = FRAME_STEP * np.arange(n_frames)
    batch, calibration = expose(emitters, psf, background, index, (SIDE_PX, SIDE_PX), rng, camera)
    return Scene(
        batch=batch, truth=emitters.table(), calibration=calibration, sigma_nm=float("nan")
    )


def _in_box(emitters: Emitters) -> tuple[F64, F64]:
    """Return the places of emitters within a box around their pixel."""
    middle = 0.5 * (BOX_PX - 1)
    x, y = emitters.x_px, emitters.y_px
    return middle + x - np.round(x), middle + y - np.round(y)


class _Noise(TypedDict):
    read_variance: float
    excess_noise: float


def _noise(calibration: CameraCalibration) -> _Noise:
    # The median pixel of an sCMOS: few are far from it, and few emitters lie on those.
    read_variance = float(np.median(calibration.read_variance()))
    return _Noise(read_variance=read_variance, excess_noise=calibration.excess_noise)


def _rms(*values: F64) -> float:
    return float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
