"""The wire format: topics, the greatest message of each kind, and the number of a run."""

from __future__ import annotations

import secrets

SETTINGS, BATCH, DENSITY, STATUS = b"settings", b"batch", b"density", b"status"
FRAME, LAYER, END = b"frame", b"layer", b"end"

FRAME_PX, FRAMES_PER_S = 512, 15
LAYER_PX = 1024
"""Pixels a side of a predicted layer, at most: 2 MB."""

REQUEST_BYTES = 1024
"""Most in one part that a publisher, a history or a control takes: subscriptions, requests, and the
keys of a connection that is being opened (less than 400 bytes)."""
BATCH_BYTES = 32 << 20
"""Most in one part that a subscriber takes: half a million rows."""
VIEW_BYTES = 4 << 20
"""Most in one part that a window takes: it has its rows from the history, a megabyte at a time."""
HANDSHAKE_MS = 2000
"""A connection that has not stated by then who it is, is closed."""


def new_run_id() -> str:
    """Return a number that no other run has, in all messages of a run: 16 hexadecimal digits."""
    return secrets.token_hex(8)
