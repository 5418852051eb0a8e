"""Gaire et al.: the image of one colour from an eighth of its frames, without the other colours.

Gaire et al., Biomed. Opt. Express 11, 2705 (2020). Neither program nor layers were at hand: ours
is a chain of residual layers of one size, as the paper is said to use; everything else (loss, size
of the data, the scaling) is our own. Each colour has a network of its own, which learns on
localizations of all colours and is to answer with those of one. Never import another network's
folder here.
"""
