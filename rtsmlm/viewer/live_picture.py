"""The super-resolution picture of a run while it grows; no Qt here, `drawing_thread` runs it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ImageLayer
from rtsmlm.render.autocontrast import Autocontrast
from rtsmlm.render.blend import LayerShown, color_of, laid_over, seen
from rtsmlm.render.depth_tables import DEPTH_TABLES
from rtsmlm.render.filter import Filter
from rtsmlm.render.painter import Color, Style
from rtsmlm.render.projection import Projection
from rtsmlm.render.pyramid import Pyramid
from rtsmlm.render.resample import enlarge
from rtsmlm.render.rgb import RGB8, white_level
from rtsmlm.render.splat import MODES, Mode
from rtsmlm.render.store import CHUNK
from rtsmlm.render.view import View
from rtsmlm.viewer.widgets.lut import colored
from rtsmlm.viewer.widgets.viewport import Viewport

CONTRAST_S = 0.3
BUDGET_MS = 25.0
"""Drawing may take so long in one go; what is missing comes with the next."""
LIMITS_BAND = 0.1
"""Part of the span by which the limits of a colour may be off without being followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How the picture is shown; none of this draws localizations anew."""

    lut: str = "ember"
    gamma: float = 0.6
    brightness: float = 1.0
    """Above 1 it is brighter than the automatic contrast."""
    autocontrast: bool = True
    """False keeps the level as it is."""
    depth_colors: str = DEPTH_TABLES[0]
    """One of `DEPTH_TABLES`, where a value gives the colour."""
    layers: tuple[LayerShown, ...] = ()
    """Predictions that are laid over it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was drawn."""

    rgb: RGB8
    """Shape (height, width, 3)."""
    viewport: Viewport
    view: View
    limits: tuple[float, float] | None
    """Values with the first and the last hue; None where no value gives the hue."""
    n_inside: int
    """Localizations inside the field, whether the filter shows them or not."""
    n_shown: int
    """Of these, those that the filter and the slab show."""
    labels: tuple[str, ...] = ()
    """What is laid over them."""


def label_of(layer: ImageLayer) -> str:
    """Return what is written on a picture over which a prediction is laid."""
    of = f", {layer.n_frames} frames" if layer.n_frames else ""
    if layer.n_localizations:
        of = f", {layer.n_localizations} localizations"
    if layer.quantity == "uncertainty":
        return f"uncertainty of what {layer.name} predicts{of}"
    return f"predicted by {layer.name}{of}"


def threads_to_draw() -> int:
    """Return the threads that the window draws with: the run needs the cores more."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


class LivePicture:
    """Rows in, pictures out.

    Parameters
    ----------
    style
        What is drawn of each localization.
    """

    def __init__(self, style: Style | None = None) -> None:
        self.style = style or Style()
        self.pyramid: Pyramid | None = None
        self._layers: dict[str, tuple[ImageLayer, float]] = {}  # with the level shown as white
        self._layers_version = 0
        self._autocontrast = Autocontrast()
        self._limits: tuple[float, float] | None = None
        self._judged_s = -1.0
        self._judged_version = -1

    @property
    def version(self) -> int:
        """Rises with every change of what is to be seen."""
        return -1 if self.pyramid is None else self.pyramid.version + self._layers_version

    @property
    def white_per_um2(self) -> float:
        """Density that the automatic contrast shows as white."""
        return self._autocontrast.white_per_um2

    @property
    def judge_at_s(self) -> float:
        """When the contrast is to be judged again, of `time.monotonic`; infinity if it need not."""
        pyramid = self.pyramid
        if pyramid is None or not pyramid.n_inside or self._judged_version == pyramid.version:
            return math.inf
        return self._judged_s + CONTRAST_S

    def begin(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        """Begin a new field without rows."""
        self.close()
        self._layers = {}
        self.pyramid = Pyramid(shape_px, pixel_nm, style=self.style, n_threads=threads_to_draw())
        self._forget_levels()

    def add(self, batches: Sequence[Localizations]) -> None:
        """Add rows; before `begin` they are dropped."""
        rows = [batch for batch in batches if len(batch)]
        if self.pyramid is not None and rows:
            self.pyramid.add(rows[0] if len(rows) == 1 else Localizations.concatenate(rows))

    def set_layers(self, layers: Iterable[ImageLayer]) -> None:
        """Take predictions; one of a name that is there takes the place of the one before.

        An uncertainty has the white level of its prediction: where it is as bright, all is unsure.
        """
        for layer in layers:
            white = white_level(layer.image)
            if layer.key != layer.name and layer.name in self._layers:
                white = self._layers[layer.name][1]
            self._layers[layer.key] = layer, white
            self._layers_version += 1

    def clear(self) -> None:
        """Forget all rows."""
        if self.pyramid is not None:
            self.pyramid.clear()
        self._forget_levels()

    def restyle(
        self,
        mode: Mode | None = None,
        color: Color | None = None,
        shown: Filter | None = None,
        projection: Projection | None = None,
    ) -> None:
        """Change mode, colour, filter or view; None leaves it as it is."""
        old = self.style
        self.style = Style(
            mode=mode or old.mode,
            color=color or old.color,
            filter=shown or old.filter,
            projection=projection or old.projection,
        )
        if self.pyramid is not None and self.style != old:
            self.pyramid.restyle(mode=mode, color=color, filter=shown, projection=projection)
            # From another angle the same rows are seen: the contrast follows without a jump.
            if replace(self.style, projection=old.projection) != old:
                self._forget_levels()

    def render(
        self,
        viewport: Viewport,
        canvas_px: tuple[int, int],
        appearance: Appearance,
        budget_ms: float | None = BUDGET_MS,
    ) -> Picture | None:
        """Draw what a canvas shows; None before `begin`.

        Parameters
        ----------
        viewport
            Part of the sample plane.
        canvas_px
            Width and height.
        appearance
            How it is shown.
        budget_ms
            None draws all, however long it takes.
        """
        if self.pyramid is None:
            return None
        if appearance.autocontrast or self._judged_version < 0:
            self._judge(budget_ms)
        width, height = canvas_px
        x0_nm, y0_nm = viewport.corner_nm(canvas_px)
        view = self.pyramid.view(
            x0_nm, y0_nm, viewport.nm_per_px, (height, width), budget_ms=budget_ms
        )
        limits = None
        if self.style.color in ("z_nm", "frame", "photons"):
            limits = self._limits or (0.0, 1.0)
        white = max(self.white_per_um2 / appearance.brightness, 1e-9)
        rgb = colored(
            view, white, lut=appearance.lut, gamma=appearance.gamma, limits=limits,
            depth_colors=appearance.depth_colors,
        )  # fmt: skip
        # Predictions have no depth: they are seen from above alone.
        layers = appearance.layers if self.style.projection.is_flat else ()
        layers = tuple(layer for layer in layers if layer.key in self._layers)
        rgb = self._with_layers(rgb, view, layers)
        labels = tuple(label_of(self._layers[layer.key][0]) for layer in layers)
        n_inside, n_shown = self.pyramid.n_inside, self.pyramid.n_shown()
        return Picture(rgb, viewport, view, limits, n_inside, n_shown, labels)

    def _with_layers(self, rgb: RGB8, view: View, shown: tuple[LayerShown, ...]) -> RGB8:
        """Return a picture with the predictions over it, which have no depth."""
        if self.pyramid is None:
            return rgb
        field_nm = self.pyramid.field.corner_nm
        names = [layer.name for key, (layer, _) in self._layers.items() if key == layer.name]
        for wanted in shown:
            layer, white = self._layers[wanted.key]
            x_nm, y_nm = layer.corner_nm or (field_nm, field_nm)
            start_nm = (view.corner_nm[0] - x_nm, view.corner_nm[1] - y_nm)
            share = seen(layer, start_nm, view.pixel_nm, view.density.shape, white)
            rgb = laid_over(rgb, share, color_of(layer, names), wanted.opacity)
        return rgb

    def _judge(self, budget_ms: float | None) -> None:
        now_s = time.monotonic()
        if self.pyramid is None or self._judged_version == self.pyramid.version:
            return
        if self._judged_version >= 0 and now_s - self._judged_s < CONTRAST_S:
            return
        view = self.pyramid.overview(budget_ms=budget_ms)
        self._autocontrast.update(view)
        self._judged_s = now_s
        if view.complete and view.density.any():
            self._judged_version = view.version
            self._follow_limits(view)

    def _follow_limits(self, view: View) -> None:
        if view.value is None:
            return
        wanted = view.value_limits()
        if self._limits is not None:
            span = max(self._limits[1] - self._limits[0], 1e-9)
            off = max(abs(a - b) for a, b in zip(wanted, self._limits, strict=True))
            if off < LIMITS_BAND * span:
                return
        self._limits = wanted

    def _forget_levels(self) -> None:
        self._autocontrast.reset()
        self._limits = None
        self._judged_version = -1

    def close(self) -> None:
        """End the threads that draw. Safe to call more than once."""
        if self.pyramid is not None:
            self.pyramid.close()
            self.pyramid = None


def warm_up() -> None:
    """Compile all that draws, which takes some seconds on the very first start of a computer.

    What is left out would be compiled while the window runs, which stops it: no key is seen then.
    """
    one = Localizations.from_columns(
        {"frame": np.zeros(1), "x_nm": np.full(1, 500.0), "y_nm": np.full(1, 500.0)}
    )
    with Pyramid((16, 16), 100.0, tile_bytes=1 << 22, n_threads=1) as pyramid:
        for mode in MODES:
            for color in ("none", "frame"):
                pyramid.restyle(mode=mode, color=color)
                pyramid.add(one)
                # What is drawn straight comes in bands; of several planes some bands are cut.
                for nm_per_px, height in ((1.0, 32), (1.0, 33), (20.0, 32)):
                    view = pyramid.view(0.0, 0.0, nm_per_px, (height, 32))
                    colored(view, 1.0, lut="ember", gamma=0.6, limits=(0.0, 1.0))
        # Full chunks are ordered by place, and drawn in another way than the rows that came last.
        pyramid.add(one.take(np.zeros(CHUNK + 1, np.int64)))
        for mode in MODES:
            pyramid.restyle(mode=mode, color="none")
            for nm_per_px in (1.0, 20.0):
                pyramid.view(0.0, 0.0, nm_per_px, (32, 32))
    # What stands in for a tile that there was no time for.
    enlarge(np.zeros((2, 1, 4, 4), np.float32), 0, (0, 0), 1, 1)
