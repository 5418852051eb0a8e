"""The steady clock of a run."""

from __future__ import annotations

import time

now_ns = time.perf_counter_ns
"""The one clock: monotonic, and the same in all processes of a machine."""
