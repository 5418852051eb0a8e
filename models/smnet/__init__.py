"""smNet: one box to position, depth, aberrations and the orientation of a dipole.

After Zhang et al., Nat. Methods 15, 913 (2018); layers as in its program, whose images come from a
MATLAB toolbox that is not part of it: here they come from `rtsmlm.models.simulation.boxes`. The
original has a network for each kind of parameter and is trained by the squared error over the
Cramér-Rao bound; here a network states all of them with their errors, by likelihood: `smnet` for
emitters that turn, with aberrations, `smnet-dipole` for those that do not, and
`smnet-double-helix` for the two lobes of that phase mask. The packaged size
has a quarter of the channels, fewer blocks, and half the resolution after the second layer. The
method belongs to a patent family (US 12,002,185 B2, WO 2020/081125 A1): have it checked before it
is used in a product. Never import another network's folder here.
"""
