"""Colour and depth from the shape of an unmodified PSF, after Kim, Moon & Xu.

After Nat. Commun. 10, 1996 (2019), of which no code could be had: one network of full layers tells
the dye of a box of 13 x 13 pixels, another one of each dye finds the depth. The layers are a
stand-in of a usual kind. The paper trains on measured spots; here they are drawn from the spectra
of dyes and a vectorial PSF. The packaged size is a seventh of it, is given light and background,
too, and states the error of its depth. Never import another network's folder here.
"""
