"""Throughput, latency and highest rate through the ring and the analysis process.

Nothing but `cli` imports this.
One more figure: measured in `measure`, printed by `page`.
"""
