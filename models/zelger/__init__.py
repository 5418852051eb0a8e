"""Zelger's network: one box to position, depth, light, background and Zernike amplitudes.

After Zelger et al., Opt. Express 26, 33166 (2018), of which the abstract alone could be had, and no
code: the layers are a stand-in of a usual kind, of two convolutions and a maximum each; what is
found, and the speed that is aimed at (22 000 spots per second), are the paper's. The loss is the
likelihood of the errors that it states, too. The packaged size has half the channels, and finds the
first five modes. Never import another network's folder here.
"""
