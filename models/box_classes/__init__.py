"""What networks share that tell dyes apart: loss, honest probabilities, the model folder.

Never import a network's folder here. One more: a folder of its own, as kim and zhang have.
"""
