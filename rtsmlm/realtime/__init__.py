"""Machinery of a run that knows no science and no device: ring, workers, ledger, latency, clock.

Never import anything above `rtsmlm.errors`, `frames` and `calibration` here.
One more part: a file that does one thing, with a test that tries to break its promise.
"""
