"""One trainer for all networks: recipe, optimizer, checkpoints, the loop.

Never import a network here: the trainer is handed an architecture.
One more option: a key of the recipe, checked in `recipe`.
"""
