"""How fast the live image is: first image, increment and redraw of millions of localizations."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.localizations import Localizations
from rtsmlm.render import Pyramid, Style
from rtsmlm.render.splat import Mode

FIELD_PX, PIXEL_NM = 256, 100.0
SCREEN = (800, 1280)
"""Height and width in pixels."""
N_LOCALIZATIONS, N_NEW = 5_000_000, 10_000
BUDGET_MS = 8.0
"""Of a redraw: the window asks anew 60 times a second."""
REPEATS = 9
LOADS = 3
WHITE_PER_UM2 = 1000.0
ZOOM_STEPS = 60
_PEER_TIMEOUT_S = 300

_PEER = """
import json, sys, time
import numpy as np
import smappy.render as r
rows = np.load(sys.argv[1])
fov = r.FieldOfView(*json.loads(sys.argv[2]))
x, y, std = rows
answer = {}
for mode in ("gaussian", "histogram"):
    took = []
    for _ in range(int(sys.argv[3]) + 1):
        start = time.perf_counter()
        sigma = r.SigmaSettings().apply(std, fov.pixelsize) if mode == "gaussian" else None
        r.render(x, y, fov, sigma=sigma)
        took.append(time.perf_counter() - start)
    answer[mode] = 1000 * float(np.median(took[1:]))
print(json.dumps(answer))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderTimes:
    """Medians in ms, after a first call that does not count."""

    mode: Mode
    n_localizations: int
    load_ms: float
    """Taking the table in, ordered by place."""
    first_ms: float
    """The whole field on a screen, from the kept localizations, with no tile there."""
    from_columns_ms: float
    """Taking the table in and the first image after it: what a renderer without memory does."""
    increment_ms: float
    """Adding new ones with every tile of that picture kept up to date."""
    slowest_increment_ms: float
    """Of some in which a chunk is ordered."""
    redraw_ms: float
    """Pictures in colours while zooming in and panning, the tiles being built on the way."""
    slowest_redraw_ms: float
    complete_share: float
    """Of these pictures, how many were as fine as they can be at once."""


def filaments(n: int, seed: int = 0) -> Localizations:
    """Return localizations on curved lines over the whole field, a fifth of them anywhere.

    Parameters
    ----------
    n
        How many.
    seed
        Of their places.
    """
    rng = np.random.default_rng(seed)
    side_nm = FIELD_PX * PIXEL_NM
    along, line = rng.uniform(0, side_nm, n), rng.integers(0, 80, n)
    across = (line + 0.5) * side_nm / 80 + 400 * np.sin(along / 1500 + line)
    across += rng.normal(0, 12, n)
    turned = line % 2 == 1
    x_nm, y_nm = np.where(turned, across, along), np.where(turned, along, across)
    anywhere = rng.random(n) < 0.2
    x_nm[anywhere], y_nm[anywhere] = rng.uniform(0, side_nm, (2, int(anywhere.sum())))
    std_nm = rng.gamma(4.0, 3.0, n)
    return Localizations.from_columns(
        {
            "frame": np.arange(n) // 50,
            "x_nm": x_nm - PIXEL_NM / 2,
            "y_nm": y_nm - PIXEL_NM / 2,
            "z_nm": 300 * np.sin(along / 4000 + line),
            "photons": rng.gamma(2.0, 500.0, n),
            "std_x_nm": std_nm,
            "std_y_nm": std_nm,
        }
    )


def measure_render(table: Localizations, style: Style | None = None) -> RenderTimes:
    """Return how long each step of a live image takes.

    Parameters
    ----------
    table
        What is shown, as of `filaments`.
    style
        How it is drawn.
    """
    style = style or Style()
    other: Mode = "histogram" if style.mode != "histogram" else "gaussian"
    new = filaments(N_NEW, seed=1)
    with Pyramid((FIELD_PX, FIELD_PX), PIXEL_NM, style=style) as pyramid:
        _compile(pyramid, new)
        load_ms, from_columns_ms = _load(pyramid, table)
        first_ms: list[float] = []
        for _ in range(REPEATS + 1):
            # A change of the mode and back discards all tiles.
            pyramid.restyle(mode=other)
            pyramid.restyle(mode=style.mode)
            first_ms.append(_ms(lambda: _whole(pyramid)))
        increment_ms = [_ms(lambda: pyramid.add(new)) for _ in range(4 * REPEATS)]
        redraw_ms, complete = _zoom_and_pan(pyramid)
    return RenderTimes(
        mode=style.mode,
        n_localizations=len(table),
        load_ms=load_ms,
        first_ms=float(np.median(first_ms[1:])),
        from_columns_ms=from_columns_ms,
        increment_ms=float(np.median(increment_ms[1:])),
        slowest_increment_ms=max(increment_ms[1:]),
        redraw_ms=float(np.median(redraw_ms)),
        slowest_redraw_ms=max(redraw_ms),
        complete_share=float(np.mean(complete)),
    )


def smappy_first_image_ms(python: Path, table: Localizations) -> dict[str, float]:
    """Return how long smappy's renderer takes for the same picture, by mode, in ms.

    Its `smappy.render.render` knows no window toolkit; it runs in its own process, on all cores,
    from columns in memory to the density, without colours, as the first image does here.

    Parameters
    ----------
    python
        Interpreter in which smappy is installed.
    table
        What is shown.

    Raises
    ------
    ConfigError
        If smappy cannot be started there.
    LocalizerError
        If it fails or does not answer in five minutes.
    """
    x0_nm, y0_nm, nm_per_px = _whole_window()
    window = json.dumps([x0_nm, y0_nm, nm_per_px, SCREEN[1], SCREEN[0]])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        rows = Path(name) / "rows.npy"
        np.save(rows, np.stack((table.x_nm, table.y_nm, table.std_x_nm)))
        command = [str(python), "-c", _PEER, str(rows), window, str(REPEATS)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_PEER_TIMEOUT_S
            )
        except OSError as error:
            raise ConfigError(f"cannot start {python}: {error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise LocalizerError(
                f"smappy's renderer took more than {_PEER_TIMEOUT_S} s; leave it out"
            ) from error
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it printed nothing"]
        raise LocalizerError(f"smappy's renderer failed: {words[-1]}; leave it out")
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def _compile(pyramid: Pyramid, rows: Localizations) -> None:
    """Go once through everything, so that nothing is compiled on the way."""
    pyramid.add(rows)
    _whole(pyramid)
    pyramid.add(rows)
    pyramid.view(0.0, 0.0, 1.0, (64, 64)).rgb()
    pyramid.view(0.0, 0.0, 8.0, SCREEN, budget_ms=0.0)
    pyramid.clear()


def _load(pyramid: Pyramid, table: Localizations) -> tuple[float, float]:
    """Return how long it takes to take a table in, and that with the first image after it."""
    load_ms, both_ms = [], []
    for _ in range(LOADS + 1):
        pyramid.clear()
        load_ms.append(_ms(lambda: pyramid.add(table)))
        both_ms.append(load_ms[-1] + _ms(lambda: _whole(pyramid)))
    return float(np.median(load_ms[1:])), float(np.median(both_ms[1:]))


def _ms(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - start)


def _whole_window() -> tuple[float, float, float]:
    """Return corner and scale of a screen that shows the whole field in its middle."""
    side_nm = FIELD_PX * PIXEL_NM
    nm_per_px = side_nm / SCREEN[0]
    corner_nm = -PIXEL_NM / 2
    return corner_nm - (SCREEN[1] - SCREEN[0]) / 2 * nm_per_px, corner_nm, nm_per_px


def _whole(pyramid: Pyramid) -> None:
    x0_nm, y0_nm, nm_per_px = _whole_window()
    pyramid.view(x0_nm, y0_nm, nm_per_px, SCREEN)


def _zoom_and_pan(pyramid: Pyramid) -> tuple[list[float], list[bool]]:
    """Return times and completeness of pictures on the way from the whole field to 1 nm pixels."""
    centre_nm = FIELD_PX * PIXEL_NM / 2
    scales_nm = np.geomspace(FIELD_PX * PIXEL_NM / SCREEN[0], 1.0, ZOOM_STEPS)
    took_ms, complete = [], []
    for way, nm_per_px in enumerate([*scales_nm, *np.full(ZOOM_STEPS, 6.0), *scales_nm[::-1]]):
        # Panned by 8 pixels from one picture to the next.
        x0_nm = centre_nm - SCREEN[1] / 2 * nm_per_px + 8 * nm_per_px * (way % ZOOM_STEPS)
        y0_nm = centre_nm - SCREEN[0] / 2 * nm_per_px
        start = time.perf_counter()
        view = pyramid.view(x0_nm, y0_nm, float(nm_per_px), SCREEN, budget_ms=BUDGET_MS)
        view.rgb(WHITE_PER_UM2)
        took_ms.append(1000 * (time.perf_counter() - start))
        complete.append(view.complete)
    return took_ms, complete
