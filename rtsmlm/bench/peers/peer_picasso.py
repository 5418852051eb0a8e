"""Picasso as a peer: net gradient, then a Gaussian fit by least squares or maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # at run time nothing of rtsmlm is there
    from numpy.typing import NDArray

    from rtsmlm.bench.peers.peers import PeerSettings

    Arrays: TypeAlias = dict[str, NDArray[Any]]

BOXES_PX = (5, 7)
"""7 is its default; of emitters nearer than half a box it keeps one."""
BOX_SIGMAS = 6.0
N_THRESHOLDS = 16
LEAST_PERCENTILE, MOST_PERCENTILE = 20.0, 99.8
"""Thresholds are tried between these percentiles of all maxima."""
DEFAULT_BOX_PX = 7
"""That of its program."""


def version() -> str:
    """Return name and version."""
    import picasso
    import picasso.localize

    return f"Picasso {picasso.__version__}"


def localize(movie: Arrays, settings: PeerSettings) -> list[tuple[str, Arrays]]:
    """Return a table for each of its settings tried.

    Fits do not depend on each other, so that a higher threshold is a choice of rows.

    Parameters
    ----------
    movie
        `pixels` in ADU, and `offset_adu`, `e_per_adu`, `em_gain`, `read_noise_e`, numbers or
        maps.
    settings
        `method`, gaussmle or gausslq; `sigma_px`, the PSF width.
    """
    from picasso import localize as picasso

    camera, maps = _camera(movie)
    wide = 2 * round(BOX_SIGMAS * settings["sigma_px"] / 2) + 1
    found: list[tuple[str, Arrays]] = []
    for box in sorted({*BOXES_PX, max(*BOXES_PX, wide)}):
        maxima = _maxima(movie["pixels"], box)
        if not len(maxima):
            nothing = np.empty(0)
            found.append((f"box {box} px", dict.fromkeys(("frame", "x_px", "y_px"), nothing)))
            continue
        least, most = np.percentile(maxima, (LEAST_PERCENTILE, MOST_PERCENTILE))
        thresholds = np.geomspace(max(least, 1e-3 * most), most, N_THRESHOLDS)
        locs = picasso.localize_frames(
            movie["pixels"],
            None,
            {"Min. Net Gradient": float(thresholds[0]), "Box Size": box},
            camera_info=camera,
            camera_calibration=maps,
            fitting_method=settings["method"],
            threaded=False,
        )
        for threshold in thresholds:
            rows = locs[locs["net_gradient"] >= threshold]
            found.append((f"box {box} px, net gradient {threshold:.0f}", _columns(rows)))
    return found


def fits(movie: Arrays, settings: PeerSettings) -> list[tuple[str, Callable[[], int]]]:
    """Return its ways to fit; where it has several threads, its own and one for each part.

    Parameters
    ----------
    movie
        As for `localize`.
    settings
        `method`; `threads`; `n_emitters`: the net gradient is chosen so that as many spots are
        found, as a net gradient has no default that suits every camera.
    """
    from picasso import lib
    from picasso import localize as picasso

    camera, maps = _camera(movie)
    pixels, threads = movie["pixels"], settings["threads"]
    threshold = _threshold(pixels, settings["n_emitters"])
    # It would take a share of the cores: one of two.
    lib.n_workers = lambda *_: threads

    def fit(start: int, stop: int, threaded: bool) -> int:
        locs = picasso.localize_frames(
            pixels[start:stop],
            None,
            {"Min. Net Gradient": threshold, "Box Size": DEFAULT_BOX_PX},
            camera_info=camera,
            camera_calibration=maps,
            fitting_method=settings["method"],
            threaded=threaded,
        )
        return len(locs)

    def fit_in_parts() -> int:
        edges = [len(pixels) * k // threads for k in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(fit, edges, edges[1:], [False] * threads))

    name = f"box {DEFAULT_BOX_PX} px, net gradient {threshold:.0f}"
    whole = 0, len(pixels)
    if threads == 1:
        return [(name, lambda: fit(*whole, False))]
    return [
        (f"{name}, its own threads", lambda: fit(*whole, True)),
        (f"{name}, movie in parts", fit_in_parts),
    ]


def _threshold(pixels: Any, n_emitters: int) -> float:
    """Return the net gradient that a given number of maxima of the movie exceed."""
    from picasso import localize as picasso

    found = [picasso.identify_in_frame(frame, 0.0, DEFAULT_BOX_PX)[2] for frame in pixels]
    maxima = np.sort(np.concatenate(found))
    return float(maxima[-min(n_emitters, len(maxima))]) if len(maxima) else 0.0


def _camera(movie: Arrays) -> tuple[dict[str, float], Arrays | None]:
    offset, e_per_adu = movie["offset_adu"], movie["e_per_adu"]
    camera = {
        "Baseline": float(np.median(offset)),
        "Sensitivity": float(np.median(e_per_adu)),
        "Gain": float(movie["em_gain"]),
        "Qe": 1.0,
        "Pixelsize": 100,
    }
    shape = movie["pixels"].shape[1:]
    if np.shape(offset) != shape:
        return camera, None
    noise_adu = movie["read_noise_e"] / e_per_adu
    full = [np.broadcast_to(m, shape) for m in (offset, noise_adu**2, 1.0 / e_per_adu)]
    return camera, dict(zip(("offset", "variance", "gain"), full, strict=True))


def _maxima(pixels: Any, box: int) -> Any:
    """Return the net gradient of all maxima of some frames."""
    from picasso import localize as picasso

    some = pixels[:: max(len(pixels) // 20, 1)]
    return np.concatenate([picasso.identify_in_frame(frame, 0.0, box)[2] for frame in some])


def _columns(rows: Any) -> Arrays:
    names = {
        "frame": "frame",
        "x_px": "x",
        "y_px": "y",
        "photons": "photons",
        "background": "bg",
        "std_x_px": "lpx",
        "std_y_px": "lpy",
    }
    found = {ours: rows[theirs].to_numpy() for ours, theirs in names.items()}
    known = np.isfinite(found["x_px"]) & np.isfinite(found["y_px"])
    return {name: values[known] for name, values in found.items()}
