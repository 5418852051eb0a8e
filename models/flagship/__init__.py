"""The flagship: two or three dimensions, told the PSF, four slots per cell of 2 x 2 pixels.

Never import another network's folder or an engine here.
One more size: `network.SIZES`; one more output: `slots`, and its loss.
"""
