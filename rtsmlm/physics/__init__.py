"""Physics: point-spread functions, camera noise, photophysics, Fisher information.

One truth for the simulator, for training and for the tests.
"""
