"""What networks share that make a dense image of few localizations.

Scaling, what they are compared with, their losses, how they are packaged. The layers are in the
folder of each, as `annapalm` and `gaire`. Never import one of these here.
"""
