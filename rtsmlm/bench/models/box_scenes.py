"""Boxes with one emitter each, as the benchmark draws them, and what can be known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsmlm.bench.accuracy.scenes import F64
from rtsmlm.bench.models.box_figures import Truth
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.psfs import FOCUS_FACTOR, computed_psf
from rtsmlm.bench.models.pupil_spots import PupilSpots
from rtsmlm.engines.box_networks import box_px_of
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots

LIGHT = (2000.0, 20.0)
READ_VARIANCE = 1.0
REACH_PX = 0.5
"""Emitters lie within the middle pixel, as detection leaves them."""
DEPTH_SHARE = 0.8
"""Part of the trained depths that is asked for."""
LARGEST_AMPLITUDE = 2.5
"""In standard deviations."""
PLANE_BOX_PX, PLANE_SIGMA_PX = 11, 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSet:
    """Boxes, their truth, and what a user would know of the PSF."""

    photons: F32
    """(n, box, box)."""
    truth: Truth
    sigma_px: float
    pixel_nm: float
    curves: WidthCurves | None = None


def plane_boxes(rng: np.random.Generator, n: int, side: int = PLANE_BOX_PX) -> BoxSet:
    """Return boxes of a round PSF, with their bounds.

    Parameters
    ----------
    rng
        Draws all.
    n, side
        Number and side of the boxes.
    """
    photons, background = LIGHT
    x, y = rng.uniform(-REACH_PX, REACH_PX, (2, n))
    middle = (side - 1) / 2.0
    level = np.full((side, side), background)
    mean = np.stack([
        render_spots((side, side), [middle + a], [middle + b], photons, PLANE_SIGMA_PX, level)
        for a, b in zip(x, y, strict=True)
    ])  # fmt: skip
    bound = gaussian_crlb(
        photons, background, PLANE_SIGMA_PX, box_px=side, x_px=middle + x, y_px=middle + y,
        read_variance=READ_VARIANCE,
    )  # fmt: skip
    truth = Truth(
        values={"x": x, "y": y, **_light_columns(n)},
        bounds={
            "x": bound.x_px, "y": bound.y_px, "photons": bound.photons,
            "background": bound.background,
        },
    )  # fmt: skip
    return BoxSet(photons=_noisy(rng, mean), truth=truth, sigma_px=PLANE_SIGMA_PX, pixel_nm=100.0)


def lens_boxes(entrant: Entrant, rng: np.random.Generator, n: int, *, aberrated: float) -> BoxSet:
    """Return boxes with the optics that a network states, with their bounds.

    Parameters
    ----------
    entrant
        The network.
    rng
        Draws all.
    n
        Number of boxes.
    aberrated
        Part of its aberrations, 0 for none.

    Raises
    ------
    ConfigError
        If its manifest does not state optics and boxes.
    """
    optics, ranges = lens_of(entrant)
    spots = PupilSpots(
        optics.optics(), pixel_nm=optics.pixel_nm, box_px=ranges.box_px, modes=ranges.modes,
        vectorial=optics.vectorial or ranges.fixed_dipoles,
    )  # fmt: skip
    x, y = rng.uniform(-REACH_PX, REACH_PX, (2, n))
    z = DEPTH_SHARE * rng.uniform(*ranges.z_nm, n)
    spread = aberrated * ranges.aberration_nm
    draw = rng.normal(size=(n, len(ranges.modes)))
    amplitudes = spread * np.clip(draw, -LARGEST_AMPLITUDE, LARGEST_AMPLITUDE)
    dipoles = _dipoles(rng, n) if ranges.fixed_dipoles else None
    photons, background = LIGHT
    mean = np.stack([
        photons * spots(x[k], y[k], z[k], amplitudes[k], None if dipoles is None else dipoles[k])
        + background
        for k in range(n)
    ])  # fmt: skip
    known = computed_psf(optics, ranges.z_nm, "lens")
    values = {"x": x, "y": y, "z_nm": z, **_light_columns(n)}
    truth = Truth(
        values=values,
        bounds=_bounds(optics, ranges, values, amplitudes, dipoles, is_known=aberrated == 0.0),
        amplitudes_nm=amplitudes,
        modes=ranges.modes,
        dipoles=dipoles,
    )
    return BoxSet(
        photons=_noisy(rng, mean),
        truth=truth,
        sigma_px=FOCUS_FACTOR * optics.wavelength_nm / optics.na / optics.pixel_nm,
        pixel_nm=optics.pixel_nm,
        curves=known.curves,
    )


def lens_of(entrant: Entrant) -> tuple[OpticsSection, BoxRanges]:
    """Return the optics and boxes of a recipe in a manifest.

    Raises
    ------
    ConfigError
        If it does not state them.
    """
    recipe = {} if entrant.manifest is None else entrant.manifest.training.recipe
    if "optics" not in recipe or "boxes" not in recipe or entrant.manifest is None:
        raise ConfigError(
            f"the manifest of {entrant.label} does not state the optics and the boxes of its "
            "training (training.recipe.optics, training.recipe.boxes)"
        )
    ranges = BoxRanges.model_validate(recipe["boxes"])
    side = box_px_of(entrant.manifest)
    return (
        OpticsSection.model_validate(recipe["optics"]),
        ranges.model_copy(update={"box_px": side}),
    )


def has_modes(entrant: Entrant) -> bool:
    """Whether a network was trained on aberrations that differ from box to box."""
    recipe = {} if entrant.manifest is None else entrant.manifest.training.recipe
    return bool(recipe.get("boxes", {}).get("modes"))


def _light_columns(n: int) -> dict[str, F64]:
    photons, background = LIGHT
    return {"photons": np.full(n, photons), "background": np.full(n, background)}


def _noisy(rng: np.random.Generator, mean: F32 | F64) -> F32:
    read = rng.normal(scale=np.sqrt(READ_VARIANCE), size=mean.shape)
    return (rng.poisson(mean) + read).astype(np.float32)


def _dipoles(rng: np.random.Generator, n: int) -> F64:
    """Return unit vectors, (n, 3), the third never negative: both ends look the same."""
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.where(direction[:, 2:] < 0.0, -direction, direction)


def _bounds(
    optics: OpticsSection,
    ranges: BoxRanges,
    values: dict[str, F64],
    amplitudes: F64,
    dipoles: F64 | None,
    *,
    is_known: bool,
) -> dict[str, F64]:
    """Return the Cramér-Rao bounds by quantity; none without torch, which computes them.

    The spread of the aberrations counts as known beforehand, as it is to the network; without
    aberrations the bound is that of a fit which knows that there are none.
    """
    try:
        import torch

        from rtsmlm.models.box_parameters.quantities import quantities_of
        from rtsmlm.models.simulation.box_bounds import box_bounds
        from rtsmlm.models.simulation.boxes import Boxes
    except ImportError:
        return {}

    def tensor(value: F64) -> torch.Tensor:
        return torch.from_numpy(value.astype(np.float32))

    if is_known:
        ranges = ranges.model_copy(update={"modes": ()})
        amplitudes = amplitudes[:, :0]
    n = len(values["x"])
    shape = (n, 1, ranges.box_px, ranges.box_px)
    drawn = Boxes(
        photons=torch.zeros(shape),
        read_variance=torch.full(shape, READ_VARIANCE),
        x_px=tensor(values["x"]),
        y_px=tensor(values["y"]),
        z_nm=tensor(values["z_nm"]),
        light=tensor(values["photons"]),
        background=tensor(values["background"]),
        amplitudes_nm=tensor(amplitudes),
        dipole=None if dipoles is None else tensor(dipoles),
    )
    found = box_bounds(drawn, ranges, optics, knows_aberrations=True).numpy().astype(np.float64)
    return {q.name: found[:, k] for k, q in enumerate(quantities_of(ranges))}
