"""The wire format: topics, their messages, and which addresses are of this machine."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit

_SETTINGS, _BATCH, _END = b"settings", b"batch", b"end"

FRAME_PX, FRAMES_PER_S = 512, 15

DENSITY, STATUS, FRAME = b"density", b"status", b"frame"


def _is_loopback(address: str) -> bool:
    if address.startswith(("ipc://", "inproc://")):
        return True
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
