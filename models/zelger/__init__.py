"""Zelger's network: one box to position, depth, light, background and Zernike amplitudes.

After Zelger et al., Opt. Express 26, 33166 (2018). The layers of the original were not to be had:
these are a stand-in of a usual kind, and only the parameters that are found, and the speed that is
aimed at (22 000 spots per second), are the paper's. Never import another network's folder here.
"""
