"""Frames to train on: emitters, scenes, PSFs, ranges; shared by all networks.

Never import a network here.
One more PSF: a bank in `psf_bank`; one more scene: in `scenes`.
"""
