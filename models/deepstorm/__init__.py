"""Deep-STORM: frames to an image of finer pixels.

Nehme et al., Optica 5, 458 (2018). Layers, loss and the sum of an emitter are the published ones.
The scaling of a frame from its darkest to its brightest pixel is not: `scaling` says why. The
packaged network has four fine pixels along a camera pixel and fewer channels than the original of
eight, which is too slow for a live stream on a CPU. Never import another network's folder here.
"""
