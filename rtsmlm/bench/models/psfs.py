"""The PSFs of the benchmark: the common ones, and the one that a network was trained for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy.reference_data import BEAD_FIRST_NM, BEAD_STEP_NM, BEADS, bead_photons
from rtsmlm.calibrate.astigmatic import RUN_BACKGROUND, calibrate_in_run_boxes
from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.calibrate.beads import measure_beads
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.psf_section import PsfSection
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.psf_file import StoredPsf

STEP_NM, WIDE_STEP_NM = 25.0, 50.0
WIDE_NM = 2000.0
"""A PSF over more than this is no astigmatic one."""
BEAD_PHOTONS, BEAD_BACKGROUND = 30_000.0, 10.0
BEAD_FIELD_PX, BEAD_PLACES_PX = 64, (15.7, 47.8)
STACK_STEP_NM = 20.0
FOCUS_FACTOR = 0.22
"""Standard deviation of the focused spot in wavelengths over the numerical aperture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPsf:
    """A PSF, and what a user would measure of it before a run."""

    name: str
    psf: Psf
    pixel_nm: float
    sigma_nm: float
    """Width in focus."""
    z_nm: tuple[float, float]
    """Depths that are asked for."""
    curves: WidthCurves | None = None
    """From beads with this PSF; None where it is not astigmatic."""


def curves_of(psf: Psf, pixel_nm: float, z_nm: tuple[float, float]) -> WidthCurves | None:
    """Return what a calibration with beads finds of a PSF; None where it has no use for it.

    Parameters
    ----------
    psf
        The PSF; four beads of it are drawn in a stack.
    pixel_nm
        Camera pixel.
    z_nm
        First and last plane of the stack.
    """
    rng = np.random.default_rng(0)
    x_px, y_px = (v.ravel() for v in np.meshgrid(BEAD_PLACES_PX, BEAD_PLACES_PX))
    light = np.full(len(x_px), BEAD_PHOTONS)
    depths = np.arange(z_nm[0], z_nm[1] + STACK_STEP_NM / 2, STACK_STEP_NM)
    stack = np.empty((len(depths), BEAD_FIELD_PX, BEAD_FIELD_PX), dtype=np.float32)
    for plane, depth in zip(stack, depths, strict=True):
        mean = np.full(plane.shape, BEAD_BACKGROUND, dtype=np.float32)
        psf.render(mean, x_px, y_px, np.full(len(x_px), depth), light)
        plane[:] = rng.poisson(mean)
    return _curves_of_stack(stack, pixel_nm, float(depths[0]), STACK_STEP_NM)


def _curves_of_stack(
    stack: F32, pixel_nm: float, first_nm: float, step_nm: float
) -> WidthCurves | None:
    def planes() -> Iterator[F32]:
        yield stack

    try:
        _, found = calibrate_in_run_boxes(
            lambda box_px: measure_beads(
                [planes], pixel_nm, defocus=True, box_px=box_px, background_share=RUN_BACKGROUND
            ),
            step_nm,
        )
    except CalibrationError:
        return None
    return None if found.doubts else found.curves.moved(found.zero_nm + first_nm)


def computed_psf(optics: OpticsSection, z_nm: tuple[float, float], name: str) -> KnownPsf:
    """Return the PSF of a lens, an objective and its aberrations.

    Parameters
    ----------
    optics
        What it is computed of.
    z_nm
        Depths.
    name
        What tables call it.
    """
    return _known(PsfSection(z_nm=z_nm), optics, name)


def own_psf(manifest: Manifest, folder: Path) -> KnownPsf:
    """Return the PSF that a network was trained for, by the recipe in its manifest.

    Parameters
    ----------
    manifest, folder
        Of the model; a PSF file lies beside the manifest.

    Raises
    ------
    ConfigError
        If the manifest does not state one.
    FileFormatError
        If it names a PSF file that cannot be read.
    """
    recipe = manifest.training.recipe
    optics = OpticsSection.model_validate(recipe.get("optics", {}))
    if manifest.task == "box-parameters" and "boxes" in recipe:
        section = PsfSection(z_nm=recipe["boxes"]["z_nm"])
    elif "psf" in recipe:
        section = PsfSection.model_validate(recipe["psf"]).beside(folder)
    else:
        raise ConfigError(
            f"the manifest of {manifest.name} states no PSF (training.recipe.psf and "
            "training.recipe.optics)"
        )
    return _known(section, optics, f"own PSF of {manifest.name}")


def has_own_psf(manifest: Manifest, folder: Path) -> bool:
    """Whether the PSF of a network is computed, or lies beside its manifest."""
    stored = manifest.training.recipe.get("psf", {}).get("file")
    return stored is None or (folder / stored).is_file()


def _known(section: PsfSection, optics: OpticsSection, name: str) -> KnownPsf:
    stored, curves = _measured(section, optics)
    return KnownPsf(
        name=name,
        psf=stored.table,
        pixel_nm=stored.pixel_nm,
        sigma_nm=FOCUS_FACTOR * optics.wavelength_nm / optics.na,
        z_nm=section.z_nm,
        curves=curves,
    )


@lru_cache(maxsize=8)
def _measured(section: PsfSection, optics: OpticsSection) -> tuple[StoredPsf, WidthCurves | None]:
    """Return a PSF with the curves of its beads, once for all sets that show it."""
    low, high = section.z_nm
    wide = high - low > WIDE_NM
    # Finer planes than those of the training: light is interpolated between them.
    step_nm = WIDE_STEP_NM if wide else STEP_NM
    stored = section.model_copy(update={"z_step_nm": step_nm}).load(optics)
    curves = None if wide else curves_of(stored.table, stored.pixel_nm, (low, high))
    return stored, curves


@lru_cache(maxsize=1)
def bead_psf(data: Path) -> KnownPsf:
    """Return the astigmatic PSF of the SMLM-2016 challenge, from its beads.

    Parameters
    ----------
    data
        Folder of the reference data.
    """
    stack = bead_photons(data / BEADS / "beads_as.tif")
    table, sigma_px = psf_from_beads([stack], z_first_nm=BEAD_FIRST_NM, z_step_nm=BEAD_STEP_NM)
    curves = _curves_of_stack(stack, 100.0, BEAD_FIRST_NM, BEAD_STEP_NM)
    return KnownPsf(
        name="beads of the SMLM-2016 challenge",
        psf=table,
        pixel_nm=100.0,
        sigma_nm=sigma_px * 100.0,
        z_nm=(-600.0, 600.0) if curves is None else (curves.z_min_nm, curves.z_max_nm),
        curves=curves,
    )
