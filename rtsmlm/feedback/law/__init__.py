"""From an estimate of the density to the power that is wanted: pure policy, no device, no clock.

Never import guards, threads or devices here: all time is handed in.
One more rule: a small class with a step method, and a scenario in `rtsmlm.bench.control`.
"""
