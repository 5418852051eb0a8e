"""The dye of a molecule from its spectrum, after Zhang et al.

After Zhang et al., Opt. Lett. 44, 5864 (2019), of which no code could be had: a network of full
layers takes the whole spectrum, where the classical method takes its centroid alone. The size
SpeNet has the layers of a later network of the same group, which takes the rows of the spectrum one
by one. Never import another network's folder here.
"""
