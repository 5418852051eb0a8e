"""Figures of the theory page, made by the code that the page is about.

python .ci/theory_figures.py    # writes docs/images/theory-*.svg, in half a minute
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.matching import match
from rtsmlm.analysis.resolution import THRESHOLD, ring_correlation
from rtsmlm.bench.accuracy.scenes import Scene, crowded_scene, isolated_scene
from rtsmlm.bench.control.rehearsal import OurSteering
from rtsmlm.bench.control.scenarios import SMALL_POOL, run
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.localizations import Localizations
from rtsmlm.offline.report.plots import Line, line_plot
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.settings.run import RunSettings

F64 = NDArray[np.float64]
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SIGMA_PX, PIXEL_NM, BOX_PX = 1.3, 100.0, 13
BACKGROUNDS = (1.0, 10.0, 50.0, 200.0)
_PHOTONS = np.geomspace(100, 10_000, 25)
_DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_STYLE = """<style>svg{font:11.5px system-ui,sans-serif;background:#fff}text{fill:#5c6675}
polyline{fill:none;stroke-width:1.8}.s0{stroke:#1f62b5}.s1{stroke:#c2571a}.s2{stroke:#2b8a57}
.s3{stroke:#8a4fb0}.aim{stroke:#8b8f98;stroke-dasharray:5 4}.grid{stroke:#dfe3e8}
.axis,.tick{stroke:#5c6675}@media(prefers-color-scheme:dark){svg{background:#14171c}
text{fill:#9aa4b2}.grid{stroke:#31373f}.s0{stroke:#79b2f2}.s1{stroke:#f0a06a}.s2{stroke:#70cf9b}
.s3{stroke:#c79be6}}</style>"""
_COLORS = {"s0": "#1f62b5", "s1": "#c2571a", "s2": "#2b8a57", "s3": "#8a4fb0", "aim": "#8b8f98"}


def bounds_nm(background: float) -> F64:
    """Return the bound of the error along one axis for each of the photons drawn."""
    bound = gaussian_crlb(_PHOTONS, background, SIGMA_PX, box_px=BOX_PX)
    return np.asarray(bound.x_px, np.float64) * PIXEL_NM


def precision() -> list[Line]:
    """Return bounds for some backgrounds, and what the fit reaches on one of them."""
    lines = [
        Line(f"bound, {background:g} per pixel", np.log10(_PHOTONS), bounds_nm(background), style)
        for background, style in zip(BACKGROUNDS, ("s0", "s1", "s2", "s3"), strict=True)
    ]
    photons = np.array([200.0, 500.0, 1000.0, 2000.0, 5000.0])
    reached = [_error_nm(isolated_scene(_rng(7), 20, (SIGMA_PX, n, 10.0))) for n in photons]
    return [*lines, Line("gaussian-mle, 10 per pixel", np.log10(photons), np.array(reached), "aim")]


def crowding() -> list[Line]:
    """Return how many emitters a fit finds against how many there are, per um2 and frame."""
    there = np.array(_DENSITIES)
    found = []
    for density in _DENSITIES:
        scene = crowded_scene(_rng(3), 12, density, (SIGMA_PX, 1000.0, 10.0))
        rows = _localize(scene)
        field_um2 = scene.batch.pixels[0].size * (PIXEL_NM / 1000) ** 2
        found.append(len(rows) / len(scene.batch.pixels) / field_um2)
    return [
        Line("found by gaussian-mle", there, np.array(found), "s0"),
        Line("all of them", there, there, "aim"),
    ]


def control() -> tuple[list[Line], list[Line]]:
    """Return density and power of a pool that is used up while the law holds the density."""
    done = run(OurSteering, SMALL_POOL, 1, 700.0, start=0.05)
    trace = done.trace
    means, light = trace.mean(trace.true, 2.0), trace.mean(trace.w_cm2, 2.0)
    t_s = trace.frame_s * np.arange(len(means))
    wanted = np.full(len(t_s), done.wanted)
    return (
        [Line("emitters per frame", t_s, means, "s0"), Line("wanted", t_s, wanted, "aim")],
        [Line("activation, W/cm²", t_s, light, "s1")],
    )


def ring_correlations() -> list[Line]:
    """Return the correlation after a quarter, half and all frames of rows on curved lines."""
    rng, n = _rng(5), 60_000
    line, along = rng.integers(0, 12, n), rng.uniform(0, 4000, n)
    across = 330 * line + 250 * np.sin(along / 700 + line)
    places = np.stack([along, across]) + rng.normal(0, 10, (2, n))
    block = rng.integers(0, 2, n)
    lines = []
    for share, style in ((0.05, "s2"), (0.25, "s1"), (1.0, "s0")):
        part = slice(0, round(share * n))
        halves = [_image(places[:, part][:, block[part] == k]) for k in (0, 1)]
        correlation = ring_correlation(*halves)[:200]
        smooth = np.convolve(correlation, np.ones(5) / 5, "same")[2:-2]
        frequency = np.arange(2, len(smooth) + 2) / (halves[0].shape[0] * 5.0) * 1000
        lines.append(Line(f"{share:.0%} of the rows", frequency, smooth, style))
    threshold = np.full(len(lines[0].x), THRESHOLD)
    return [*lines, Line("1/7", lines[0].x, threshold, "aim")]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _image(places_nm: F64) -> NDArray[np.float32]:
    edges = np.arange(0, 4001, 5)
    return np.histogram2d(*places_nm, bins=(edges, edges))[0].astype(np.float32)


def _localize(scene: Scene) -> Localizations:
    localizer = open_gaussian_mle(RunSettings(), scene.calibration, scene.sigma_nm)
    return localizer(scene.batch)


def _error_nm(scene: Scene) -> float:
    rows = _localize(scene)
    pairs = match(rows, scene.truth, radius_nm=250.0)
    off = rows.x_nm[pairs.locs] - scene.truth.x_nm[pairs.truth]
    return float(np.sqrt(np.mean(off.astype(np.float64) ** 2)))


def svg(title: str, x_label: str, y_label: str, lines: list[Line]) -> str:
    """Return a chart as a file of its own, with its legend inside."""
    page = line_plot(title, x_label, y_label, lines)
    found = re.search(r"<svg[^>]*>(.*)</svg>", page, re.DOTALL)
    inner = "" if found is None else found[1]
    keys = "".join(
        f"<rect x='{84 + 118 * k}' y='256' width='10' height='3' fill='{_COLORS[line.style]}'/>"
        f"<text x='{98 + 118 * k}' y='261' font-size='9.5'>{line.label}</text>"
        for k, line in enumerate(lines)
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 700 270' role='img' "
        f"aria-label='{title}'>{_STYLE}<g>{inner}</g>{keys}</svg>\n"
    )


def main() -> None:
    """Write all figures."""
    density, power = control()
    figures = {
        "precision": ("Error of a position", "log10 of photons", "nm, per axis", precision()),
        "crowding": ("Found against there", "emitters there per µm²", "found per µm²", crowding()),
        "control": ("Density that is held", "seconds", "emitters per frame", density),
        "power": ("Power that holds it", "seconds", "W/cm² at 405 nm", power),
        "frc": ("Ring correlation", "frequency per µm", "correlation", ring_correlations()),
    }
    for name, (title, x_label, y_label, lines) in figures.items():
        path = IMAGES / f"theory-{name}.svg"
        path.write_text(svg(title, x_label, y_label, lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
