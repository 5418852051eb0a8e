"""smNet: one box to position, depth, aberrations and the orientation of a dipole.

After Zhang et al., Nat. Methods 15, 913 (2018). The original has one network for each kind of
parameter and is trained by the error over the Cramér-Rao bound; here one network states all of them
with their errors, by likelihood. The method is patented (US 12,002,185): ask before it is sold.
Never import another network's folder here.
"""
