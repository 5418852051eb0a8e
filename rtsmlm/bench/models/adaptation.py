"""An adapted model beside the one it came from, on simulated frames of one microscope.

Frames and boxes are drawn by the code of the benchmark, which shares none with the training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy.figures import JACCARD, RMSE, Figures
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.models.box_figures import AXIAL, LATERAL
from rtsmlm.bench.models.box_scenes import lens_boxes
from rtsmlm.bench.models.box_sets import BOXES, judge
from rtsmlm.bench.models.entrants import BOX, Entrant
from rtsmlm.bench.models.psfs import WIDE_NM, KnownPsf, own_psf
from rtsmlm.bench.models.row_figures import AXIAL_RMSE, row_figures
from rtsmlm.bench.models.row_scenes import volume_scene
from rtsmlm.bench.models.row_sets import WIDE_DENSITIES
from rtsmlm.errors import ConfigError, number_text
from rtsmlm.models.manifest import Manifest, ValidRanges, read_manifest
from rtsmlm.models.simulation.psf_section import PsfSection
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.physics.camera import Sensor
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.psf_of_curves import psf_of_curves
from rtsmlm.settings.camera import CameraSettings
from rtsmlm.settings.run import RunSettings

TEST = "Adapted to one microscope"
DENSITIES: tuple[tuple[str, float], ...] = (("sparse", 0.1), ("dense", 1.0))
SIDE_PX, WIDE_SIDE_PX, N_FRAMES, N_BOXES = 96, 128, 6, 400
SEED = 20
TABLE_PX = 31
FIGURES = (JACCARD, RMSE, AXIAL_RMSE, LATERAL, AXIAL)
"""What is stated of each set, where it is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Figures of both models on one set."""

    condition: str
    before: Figures
    after: Figures

    def entries(self, name: str) -> Iterator[dict[str, float | str]]:
        """Yield the figures as rows of a manifest.

        Parameters
        ----------
        name
            Of the model that the adapted one came from.
        """
        for figure in self.stated():
            for of, values in (("", self.after), (f", {name} there", self.before)):
                yield {
                    "test": TEST,
                    "condition": self.condition + of,
                    "figure": figure,
                    "value": round(float(values[figure]), 4),
                }

    def stated(self) -> list[str]:
        """Return the names of the figures that are stated."""
        return [
            name
            for name in FIGURES
            if all(math.isfinite(of.get(name, math.nan)) for of in (self.before, self.after))
        ]


def in_words(row: Comparison) -> str:
    """Return a comparison as a line of text."""
    parts = [
        f"{name} {number_text(row.before[name])} -> {number_text(row.after[name])}"
        for name in row.stated()
    ]
    return f"{row.condition:9}{', '.join(parts) or 'neither model finds anything'}"


def compare(before: Path, after: Path, settings: RunSettings) -> list[Comparison]:
    """Return how an adapted model and the one it came from do on the same simulated data.

    Parameters
    ----------
    before, after
        Their folders.
    settings
        Camera and PSF of the microscope.

    Raises
    ------
    RtsmlmError
        If one of them does not take the microscope.
    """
    old, new = _entrant(before), _entrant(after)
    if new.task == BOX:
        drawn = lens_boxes(new, np.random.default_rng(SEED), N_BOXES, aberrated=1.0)
        return [Comparison(condition=BOXES, before=judge(old, drawn), after=judge(new, drawn))]
    if new.task != "localize" or not new.localizes:
        return []
    found = []
    known = psf_of(read_manifest(after), after, settings)
    for name, scene in _scenes(read_manifest(after).valid, known, settings.camera):
        before_rows, after_rows = (
            row_figures(scene, entrant.localize(scene), axial=new.finds_z) for entrant in (old, new)
        )
        found.append(Comparison(condition=name, before=before_rows, after=after_rows))
    return found


def _entrant(folder: Path) -> Entrant:
    # A path is told from a name by its separator.
    return Entrant(name=folder.resolve().as_posix(), folder=folder, manifest=read_manifest(folder))


def _scenes(
    valid: ValidRanges, known: KnownPsf, camera: CameraSettings
) -> Iterator[tuple[str, Scene]]:
    """Yield frames of a PSF and a camera, with the typical light of what a model is for."""
    wide = known.z_nm[1] - known.z_nm[0] > WIDE_NM
    side_px = WIDE_SIDE_PX if wide else SIDE_PX
    photons, background = (
        math.sqrt(max(low, 1.0) * high) for low, high in (valid.photons, valid.background)
    )
    sensor = sensor_of(camera, side_px)
    for name, density in WIDE_DENSITIES if wide else DENSITIES:
        rng = np.random.default_rng(SEED)
        light = photons, background
        yield name, volume_scene(rng, known, N_FRAMES, side_px, density, light, sensor)


def psf_of(manifest: Manifest, folder: Path, settings: RunSettings) -> KnownPsf:
    """Return the PSF that an adapted model is for.

    Raises
    ------
    ConfigError
        If the settings do not state the curves that it needs.
    """
    if manifest.psf == "any":
        return own_psf(manifest, folder)
    pixel_nm = settings.camera.pixel_nm or 100.0
    if manifest.psf == "astigmatic":
        if settings.psf.astigmatism is None:
            raise ConfigError("there are no curves of an astigmatic PSF (psf.astigmatism)")
        curves = settings.psf.astigmatism.curves()
        return KnownPsf(
            name="curves",
            psf=psf_of_curves(curves, pixel_nm, TABLE_PX),
            pixel_nm=pixel_nm,
            sigma_nm=curves.mean_nm(),
            z_nm=(curves.z_min_nm, curves.z_max_nm),
            curves=curves,
        )
    recipe = manifest.training.recipe
    ranges = SimulationRanges.model_validate(recipe.get("simulation", {}))
    sigma_px = math.sqrt(math.prod(ranges.usual_sigma_px))
    table = PsfSection.model_validate(recipe.get("psf", {})).beside(folder).measured()
    depth_nm = 0.0
    if table is not None:
        peaks = np.abs(np.diff(np.diff(table.sums, axis=1), axis=2)).max(axis=(1, 2))
        depth_nm = table.z_first_nm + table.z_step_nm * int(np.argmax(peaks))
    return KnownPsf(
        name="round",
        psf=GaussianPsf(sigma_px) if table is None else table,
        pixel_nm=pixel_nm,
        sigma_nm=sigma_px * pixel_nm,
        z_nm=(depth_nm, depth_nm),
    )


def sensor_of(camera: CameraSettings, side_px: int) -> Sensor:
    """Return a square chip with the numbers of a calibration; those of maps are left out."""

    def flat(value: float) -> np.ndarray:
        return np.full((side_px, side_px), value, dtype=np.float32)

    em_gain = camera.em_gain or 1.0
    adu_per_e = 1.0 / (camera.e_per_adu or 1.0)
    read_e = 1.6 if camera.read_noise_e is None else camera.read_noise_e
    return Sensor(
        kind="EMCCD" if em_gain > 1.0 else "sCMOS",
        offset_adu=flat(100.0 if camera.offset_adu is None else camera.offset_adu),
        adu_per_e=flat(adu_per_e),
        read_variance_adu2=flat((read_e * adu_per_e) ** 2),
        em_gain=em_gain,
    )
