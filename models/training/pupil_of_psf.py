"""The pupil of a measured PSF: which aberrations and wavelength draw it.

Networks of boxes are trained on a pupil, as they state aberrations relative to it. What a table
holds is explained by a few Zernike modes, light and place of each plane being free
(phase retrieval: Hanser et al., J. Microsc. 216, 32 (2004)).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.optics import OpticsSection, ZernikeEntry
from rtsmlm.models.simulation.psf_bank import plane_pixels
from rtsmlm.models.simulation.pupil_layer import Mode, PupilLayer
from rtsmlm.physics.psf import TablePsf

MODES: tuple[Mode, ...] = ((2, 2), (2, -2), (3, 1), (3, -1), (4, 0))
BOX_PX = 15
PLANES = 9
"""Depths that are compared; more say the same once more."""
STEPS = 40
FACTORS = (0.9, 1.0, 1.1, 1.2)
"""Of the wavelength: a PSF may be wider than the objective makes it."""
STARTS_NM = (-70.0, 70.0)
"""Astigmatism of either sign: between both lies a PSF that is worse than either."""
LEAST_EXPLAINED = 0.9


def optics_of_psf(
    table: TablePsf, optics: OpticsSection, z_nm: tuple[float, float]
) -> tuple[OpticsSection, float]:
    """Return the optics that draw a PSF, and the share of its variance that they explain.

    Parameters
    ----------
    table
        The PSF, on the pixels of `optics`.
    optics
        Objective and media; wavelength and aberrations are found.
    z_nm
        Depths that count.

    Raises
    ------
    ConfigError
        If aberrations up to the third order do not explain it.
    """
    at_nm = _depths(table, z_nm)
    spots = torch.stack([_plane_at(table, float(z)) for z in at_nm])
    tried = [
        _retrieve(spots, at_nm, optics, factor, start)
        for factor, start in itertools.product(FACTORS, STARTS_NM)
    ]
    best, explained = max(tried, key=lambda found: found[1])
    if explained < LEAST_EXPLAINED:
        raise ConfigError(
            f"no pupil of NA {optics.na:g} with aberrations up to third order draws this PSF "
            f"({100 * explained:.0f} % of it are explained, {100 * LEAST_EXPLAINED:.0f} % are "
            "needed): state the objective, such as --change optics.na=1.45"
        )
    return best, explained


def _depths(table: TablePsf, z_nm: tuple[float, float]) -> Tensor:
    last = table.z_first_nm + table.z_step_nm * (len(table.sums) - 1)
    low, high = max(z_nm[0], table.z_first_nm), min(z_nm[1], last)
    if low > high:
        raise ConfigError(
            f"the network finds depths of {z_nm[0]:g} to {z_nm[1]:g} nm, but the PSF given holds "
            f"{table.z_first_nm:g} to {last:g} nm: measure it over more depth"
        )
    return torch.linspace(low, high, min(PLANES, len(table.sums)))


def _plane_at(table: TablePsf, z_nm: float) -> Tensor:
    """Return the middle of a spot at a depth, (BOX_PX, BOX_PX)."""
    plane = round((z_nm - table.z_first_nm) / table.z_step_nm)
    pixels = torch.from_numpy(plane_pixels(table, min(max(plane, 0), len(table.sums) - 1)))
    middle, half = len(pixels) // 2, min(BOX_PX, len(pixels)) // 2
    near = slice(middle - half, middle + half + 1)
    return pixels[near, near].float()


def _retrieve(
    spots: Tensor, at_nm: Tensor, optics: OpticsSection, factor: float, start_nm: float
) -> tuple[OpticsSection, float]:
    """Return the optics of one wavelength that draw spots best, and what they explain."""
    wanted = optics.model_copy(
        update={"wavelength_nm": optics.wavelength_nm * factor, "zernikes": ()}
    )
    layer = PupilLayer(
        wanted.optics(), pixel_nm=optics.pixel_nm, box_px=spots.shape[1], modes=MODES,
        vectorial=optics.vectorial, fine_per_px=2, points=32,
    )  # fmt: skip
    n = len(spots)
    modes_nm = torch.zeros(len(MODES))
    modes_nm[0] = start_nm
    shift = torch.zeros(3)  # x and y in pixels, z in units of 100 nm
    amplitudes = (modes_nm / 50.0).requires_grad_()
    shift.requires_grad_()
    solver = torch.optim.LBFGS([amplitudes, shift], max_iter=STEPS, line_search_fn="strong_wolfe")
    scale = (spots - spots.mean()).square().sum()

    def residual() -> Tensor:
        place = shift[:2, None].expand(2, n)
        drawn: Tensor = layer(
            place[0], place[1], at_nm + 100.0 * shift[2], 50.0 * amplitudes.expand(n, -1)
        )
        light = (drawn * spots).sum(dim=(1, 2)) / drawn.square().sum(dim=(1, 2))
        return (light[:, None, None] * drawn - spots).square().sum() / scale

    def closure() -> Tensor:
        solver.zero_grad()
        loss = residual()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        left = float(residual())
    found = [round(50.0 * float(a), 1) for a in amplitudes.detach()]
    zernikes = tuple(
        ZernikeEntry(n=mode[0], m=mode[1], rms_nm=rms)
        for mode, rms in zip(MODES, found, strict=True)
    )
    return wanted.model_copy(update={"zernikes": zernikes}), 1.0 - left
