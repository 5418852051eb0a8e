"""One file per runtime that computes networks: OpenVINO, TensorRT, torch; and the last fit.

Never import one network here: engines ask an architecture.
One more runtime: a class with the shape of `runtime.Runtime`, and its name in `runtimes`.
"""
