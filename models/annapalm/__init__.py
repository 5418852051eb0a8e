"""ANNA-PALM: few localizations to the image of all, for a structure that was learned.

Ouyang et al., Nat. Biotechnol. 36, 460 (2018), and its program. Layers, critic and loss are the
published ones; the level of the input is not (`dense_images.level` says why), the widefield image
comes on the grid of the localizations, and the network that predicts it from the answer is left
out, as the original does where it learns on simulations. Never import another network's folder.
"""
