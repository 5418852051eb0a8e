"""The flagship: 2D or 3D, conditioned on the PSF, four slots for each cell of 2 x 2 pixels.

Never import another network's folder or an engine here.
One more size: `network.SIZES`; one more output: `slots`, and its loss.
"""
