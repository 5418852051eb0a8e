"""How the views of a frame lie on each other, measured on beads that all of them show.

The residual is that of beads that the fit has not seen: each bead is left out in turn. It holds the
errors of both places of a bead, so that the transform itself is better than it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.view_beads import (
    MAD_TO_STD,
    MAX_DEVIATIONS,
    MIRRORS,
    ViewBeads,
    fit_transform,
    measure_view,
    pair_beads,
    robust_fit,
)
from rtsmlm.errors import CalibrationError
from rtsmlm.localizations import F32
from rtsmlm.physics.transforms import F64, N_TERMS, PlaneTransform, terms
from rtsmlm.physics.views import View, Views

Degree = Literal["auto", "1", "2"]
MIN_PAIRS = {1: 6, 2: 12}
"""Twice as many as coefficients along an axis: with fewer, no residual can be stated."""
SECOND_FROM = 20
"""Pairs from which on the second order is tried by itself."""
BETTER = 0.97
"""It is taken where it lowers the residual of beads left out to this share."""
LEAST_SHARE = 0.3
"""Of the beads of the emptier view; a chance agreement has fewer."""
TIMES_CHANCE = 4.0
"""As many times as beads that lie within a pixel of each other by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One view on the first: the transform, and the pairs of beads that it was measured on."""

    view: View
    first_px: F64
    """Beads in the first view, shape (n, 2)."""
    here_px: F64
    """The same beads in this view, shape (n, 2)."""
    left_out_px: F64
    """Where each bead is in the first view, less where the other beads put it, shape (n, 2)."""
    used: NDArray[np.bool_]
    """False for pairs that deviate from all others, shape (n,)."""

    def residual_nm(self, pixel_nm: float) -> float:
        """Return the root mean square distance of beads left out, in nm."""
        off = self.left_out_px[self.used]
        return float(pixel_nm * np.sqrt(np.mean(np.sum(off * off, axis=1))))


def register_views(
    images: Sequence[F32],
    views: Views,
    *,
    read_variance: float = 0.0,
    degree: Degree = "auto",
    mirrors: Sequence[str] = (),
) -> list[Registration]:
    """Return how each view but the first lies on the first.

    Parameters
    ----------
    images
        Images of beads in photons, shape (height, width) each; all may show other beads.
    views
        Their regions and names.
    read_variance
        Variance of the read noise in photons².
    degree
        Of the transform: 1 is affine, 2 of the second order; auto takes 2 where beads that are left
        out say that it is better.
    mirrors
        How each view but the first is mirrored, keys of `MIRRORS`; empty stands for none of them.

    Raises
    ------
    CalibrationError
        If a view shows too few beads, if they are not those of the first view, or if it is mirrored
        otherwise than stated.
    """
    views.check_frame_shape((images[0].shape[0], images[0].shape[1]))
    beads = [
        [measure_view(np.asarray(view.cut(image), np.float32), read_variance) for image in images]
        for view in views
    ]
    counts = [sum(len(b.places_px) for b in of_view) for of_view in beads]
    _check_counts(views, counts)
    stated = tuple(mirrors) or ("none",) * (len(views) - 1)
    return [
        _register(views.first, view, beads[0], beads[k], degree, stated[k - 1])
        for k, view in enumerate(views)
        if k > 0
    ]


def _check_counts(views: Views, counts: Sequence[int]) -> None:
    """Raise `CalibrationError` if a view shows too few beads."""
    if max(counts) == 0:
        raise CalibrationError(
            "no isolated bead was found in any view; take bright beads, some ten pixels apart, or "
            "check the offset of the camera (camera.offset_adu)"
        )
    for view, count in zip(views, counts, strict=True):
        if count >= MIN_PAIRS[1]:
            continue
        richest = int(np.argmax(counts))
        if counts[richest] >= 3 * max(count, 1):
            raise CalibrationError(
                f"beads shine in one view only: {views[richest].name} shows {counts[richest]}, "
                f"{view.name} {list(view.region)} shows {count}; take beads of several colours, "
                "which shine in all views, or check the regions of the views"
            )
        raise CalibrationError(
            f"the view {view.name} shows {count} isolated beads; a registration needs "
            f"{MIN_PAIRS[1]} at least and about 50 to be good: take more beads, or several images "
            "of different places of the sample"
        )


def _register(
    first: View,
    view: View,
    beads_first: Sequence[ViewBeads],
    beads_here: Sequence[ViewBeads],
    degree: Degree,
    mirror: str,
) -> Registration:
    places_first = [b.places_px for b in beads_first]
    places_here = [b.places_px for b in beads_here]
    pairing = pair_beads(places_first, places_here, [mirror])
    least = _least_pairs(places_first, places_here, first)
    if len(pairing.pairs) < least:
        _explain(first, view, places_first, places_here, mirror, len(pairing.pairs), least)
    target = np.concatenate(places_first)[pairing.pairs[:, 0]]
    source = np.concatenate(places_here)[pairing.pairs[:, 1]]
    found, left_out, used = _fit(source, target, degree, view.name)
    ratio = _sigma_ratio(beads_first, beads_here, pairing.pairs[used])
    return Registration(
        view=View(view.name, view.region, found, ratio),
        first_px=target,
        here_px=source,
        left_out_px=left_out,
        used=used,
    )


def _least_pairs(first: Sequence[F64], here: Sequence[F64], view: View) -> int:
    """Return how many pairs are more than chance, and enough for a fit."""
    n_first, n_here = sum(map(len, first)), sum(map(len, here))
    area_px = view.region[2] * view.region[3]
    chance = sum(len(a) * len(b) for a, b in zip(first, here, strict=True)) * np.pi / area_px
    return max(MIN_PAIRS[1], int(LEAST_SHARE * min(n_first, n_here)), int(TIMES_CHANCE * chance))


def _explain(
    first: View,
    view: View,
    places_first: Sequence[F64],
    places_here: Sequence[F64],
    mirror: str,
    n_pairs: int,
    least: int,
) -> None:
    """Raise `CalibrationError` that says why too few beads agree."""
    others = [name for name in MIRRORS if name != mirror]
    found = pair_beads(places_first, places_here, others)
    if len(found.pairs) >= least:
        as_stated = "not mirrored" if mirror == "none" else f"mirrored along {mirror}"
        as_found = {"none": "not mirrored", "both": "turned by half a turn"}.get(
            found.mirror, f"mirrored along {found.mirror}"
        )
        raise CalibrationError(
            f"the view {view.name} is {as_found}: {len(found.pairs)} beads agree so, {n_pairs} "
            f"where it is {as_stated}, as stated; give --mirrored {found.mirror}"
        )
    n_first, n_here = sum(map(len, places_first)), sum(map(len, places_here))
    raise CalibrationError(
        f"{n_first} beads of {first.name} and {n_here} of {view.name} do not show the same sample: "
        f"{n_pairs} of them agree on one transform, {least} must; check the regions of the views, "
        "and that the same beads shine in both"
    )


def _fit(
    source: F64, target: F64, degree: Degree, name: str
) -> tuple[PlaneTransform, F64, NDArray[np.bool_]]:
    """Return the transform, the deviation of each pair left out, and which pairs were used."""
    wanted = [1, 2] if degree == "auto" else [int(degree)]
    if degree == "auto" and len(source) < SECOND_FROM:
        wanted = [1]
    if len(source) < MIN_PAIRS[wanted[0]]:
        raise CalibrationError(
            f"{len(source)} beads are seen in {name} and the first view; a transform of degree "
            f"{wanted[0]} needs {MIN_PAIRS[wanted[0]]} at least: take more beads, or --degree 1"
        )
    best: tuple[float, PlaneTransform, F64, NDArray[np.bool_]] | None = None
    for one in wanted:
        rough = robust_fit(source, target, one)
        off = np.hypot(*(rough(source) - target).T)
        used = off <= MAX_DEVIATIONS * max(MAD_TO_STD * float(np.median(off)), 1e-6)
        if used.sum() < 2 * N_TERMS[one]:
            used = np.ones(len(source), dtype=np.bool_)
        left_out = leave_one_out(source, target, one, used)
        residual = float(np.sqrt(np.mean(np.sum(left_out[used] ** 2, axis=1))))
        if best is None or residual < BETTER * best[0]:
            best = (residual, fit_transform(source[used], target[used], one), left_out, used)
    if best is None:
        raise CalibrationError(f"the view {name} could not be registered")
    return best[1:]


def leave_one_out(
    source: F64, target: F64, degree: int, used: NDArray[np.bool_] | None = None
) -> F64:
    """Return how far each target lies from where a fit to all other pairs puts it, shape (n, 2).

    By the leverage of each pair: a least-squares fit without one pair misses it by its residual
    over one less the leverage. Pairs that are not used lie as far as they do from the fit.

    Parameters
    ----------
    source, target
        Places in pixels, shape (n, 2).
    degree
        Of the transform.
    used
        Which pairs the fit takes; None takes all.
    """
    used = np.ones(len(source), dtype=np.bool_) if used is None else used
    fitted = fit_transform(source[used], target[used], degree)
    off = target - fitted(source)
    powers = terms(source, degree)
    powers = powers / np.maximum(np.abs(powers[used]).max(axis=0), 1e-12)
    orthogonal, _ = np.linalg.qr(powers[used])
    leverage = np.sum(orthogonal**2, axis=1)
    off[used] /= np.maximum(1.0 - leverage, 1e-3)[:, None]
    return np.asarray(off)


def _sigma_ratio(
    first: Sequence[ViewBeads], here: Sequence[ViewBeads], pairs: NDArray[np.int64]
) -> float:
    """Return the width of the PSF in this view over that in the first, median of the pairs."""
    one = np.concatenate([beads.sigma_px for beads in first])[pairs[:, 0]]
    two = np.concatenate([beads.sigma_px for beads in here])[pairs[:, 1]]
    return float(np.median(two / one))
