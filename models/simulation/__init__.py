"""Frames to train on: emitters, scenes, PSFs, ranges; shared by all networks.

Never import a network here.
One more PSF: a bank in `psf_bank`, or the only one of a network in `one_psf`; one more scene: in
`scenes`.
"""
