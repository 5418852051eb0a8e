"""Pixel maps as an architecture: all that is to be known stands in the manifest."""

from __future__ import annotations

from rtsmlm.errors import FileFormatError
from rtsmlm.models.architecture import Decoder, GraphAlone, NetworkModel
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.pixel_maps.decode import NEEDED, OPTIONAL, rows_of


class PixelMaps(GraphAlone):
    """Frames to maps of probability, offsets and photons, one emitter for each pixel at most."""

    name = "pixel-maps"

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the decoder for the channels that the manifest names.

        Raises
        ------
        FileFormatError
            If it does not name those that are needed.
        """
        channels = channels_of(model.manifest)
        settings = model.decode
        return lambda maps: rows_of(maps, shape, channels, settings)


def channels_of(manifest: Manifest) -> dict[str, int]:
    """Return which channel of the output holds what.

    Raises
    ------
    FileFormatError
        If the manifest does not name what is needed, or names what is not known.
    """
    channels = {channel.name: channel.first for channel in manifest.channels}
    missing = [name for name in NEEDED if name not in channels]
    unknown = [name for name in channels if name not in {*NEEDED, *OPTIONAL}]
    if missing or unknown:
        known = f"it needs {', '.join(NEEDED)} and may have {', '.join(OPTIONAL)}"
        fault = f"no {', '.join(missing)}" if missing else f"unknown {', '.join(unknown)}"
        raise FileFormatError(f"the channels of {manifest.name} have {fault}; {known}")
    return channels


ARCHITECTURE = PixelMaps()
