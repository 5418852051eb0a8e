"""Deep-STORM: frames to an image of finer pixels.

Nehme et al., Optica 5, 458 (2018).
"""
