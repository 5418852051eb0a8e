"""What `rtsmlm calibrate` measures: camera maps, gain, PSF width, curves of an astigmatic PSF.

Never import networks or sessions here.
One more calibration: measured on simulated frames first, where the answer is known.
"""
