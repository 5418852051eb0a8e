"""One truth for simulator, training, fits and tests: PSF, camera, photophysics, information.

Never import anything above `rtsmlm.calibration` here.
One more model: functions with units in their names and the source of the formula.
"""
