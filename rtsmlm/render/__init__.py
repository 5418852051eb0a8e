"""Localizations to images: incremental, without any window toolkit."""

from rtsmlm.render.renderer import Renderer
from rtsmlm.render.rgb import to_rgb8
from rtsmlm.render.write import write_image

__all__ = ["Renderer", "to_rgb8", "write_image"]
