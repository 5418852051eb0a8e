"""DeepLOCO: tiles to lists of emitters, trained without matching.

Boyd, Jonas, Babcock, Recht, bioRxiv 267096 (2018). Layers, loss, simulated range and merging follow
the abstract and what is known of the program; its text and its trained weights could not be had,
nor the GPU on which 20 000 frames took it about a second. `network.SIZES["paper"]` is the published
size. What is packaged has layers of cells in place of fully connected ones, is trained for crowds,
and states light and standard deviations, which the original does not:
docs/decisions/0032-deeploco.md.
"""
