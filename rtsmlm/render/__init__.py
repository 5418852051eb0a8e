"""Rows to pictures, live and at the end; numpy and compiled code.

Never import Qt here, and no disk but in `write`.
One more way to draw: a function from rows to a block of the pyramid.
"""

from rtsmlm.render.autocontrast import Autocontrast
from rtsmlm.render.filter import Filter
from rtsmlm.render.painter import Style
from rtsmlm.render.pyramid import Pyramid
from rtsmlm.render.renderer import Renderer
from rtsmlm.render.rgb import to_rgb8
from rtsmlm.render.view import View
from rtsmlm.render.write import write_image, write_view

__all__ = [
    "Autocontrast",
    "Filter",
    "Pyramid",
    "Renderer",
    "Style",
    "View",
    "to_rgb8",
    "write_image",
    "write_view",
]
