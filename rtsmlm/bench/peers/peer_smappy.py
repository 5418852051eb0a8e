"""smappy as a peer: difference of Gaussians, then a maximum likelihood fit with free width."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # at run time nothing of rtsmlm is there
    from numpy.typing import NDArray

    from rtsmlm.bench.peers.peers import PeerSettings

    Arrays: TypeAlias = dict[str, NDArray[Any]]

CUTOFFS = (0.7, 1.0, 1.7, 3.0, 5.0, 8.0)
"""Multiples of each frame's noise; 1.7 is its default."""
PHOTONS = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Fixed cutoffs on the filtered image: in a crowd, the noise of a frame cannot be measured."""
DEFAULT_BOX_PX = 13
SMALL_BOX_PX = 7


def version() -> str:
    """Return name and version."""
    import smappy  # type: ignore[import-not-found]

    return f"smappy {smappy.__version__}"


def localize(movie: Arrays, settings: PeerSettings) -> list[tuple[str, Arrays]]:
    """Return a table for each of its settings tried.

    Parameters
    ----------
    movie
        `pixels` in ADU, and `offset_adu`, `e_per_adu`, `em_gain`, `read_noise_e`, of which it
        takes one number for all pixels.
    settings
        `sigma_px`, the PSF width.
    """
    import smappy

    camera = _camera(movie)
    trials = [(box, "dynamic", c) for box in (SMALL_BOX_PX, DEFAULT_BOX_PX) for c in CUTOFFS]
    trials += [(SMALL_BOX_PX, "absolute", cutoff) for cutoff in PHOTONS]
    found: list[tuple[str, Arrays]] = []
    for box, mode, cutoff in trials:
        locs = smappy.fit(
            movie["pixels"],
            camera=camera,
            sigma=settings["sigma_px"],
            cutoff=cutoff,
            cutoff_mode=mode,
            roisize=box,
        )
        found.append((f"box {box} px, {mode} cutoff {cutoff:g}", _columns(locs)))
    return found


def fits(movie: Arrays, settings: PeerSettings) -> list[tuple[str, Callable[[], int]]]:
    """Return its one way to fit.

    Parameters
    ----------
    movie
        As for `localize`.
    settings
        `sigma_px`; `threads`, how many it takes; `fastest`, whether to take a small box rather
        than its default.
    """
    import smappy

    camera = _camera(movie)
    box = SMALL_BOX_PX if settings["fastest"] else DEFAULT_BOX_PX

    def fit() -> int:
        locs = smappy.fit(
            movie["pixels"],
            camera=camera,
            sigma=settings["sigma_px"],
            roisize=box,
            threads=settings["threads"],
        )
        return len(locs)

    return [(f"box {box} px", fit)]


def _camera(movie: Arrays) -> dict[str, float | bool]:
    gain = float(movie["em_gain"])
    return {
        "conversion": float(np.median(movie["e_per_adu"])),
        "offset": float(np.median(movie["offset_adu"])),
        # One pixel of one µm: places come back in thousandths of a pixel.
        "pixelsize_um": 1.0,
        "em_on": gain > 1.0,
        "emgain": gain,
        "read_noise_e": float(np.median(movie["read_noise_e"])),
    }


def _columns(locs: Any) -> Arrays:
    if not len(locs):
        return dict.fromkeys(("frame", "x_px", "y_px"), np.empty(0))
    return {
        "frame": locs["frame"],
        "x_px": locs["x_nm"] / 1000.0,
        "y_px": locs["y_nm"] / 1000.0,
        "photons": locs["photons"],
        "background": locs["background"],
        "std_x_px": locs["x_err_nm"] / 1000.0,
        "std_y_px": locs["y_err_nm"] / 1000.0,
    }
