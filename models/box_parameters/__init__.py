"""What networks from a box to parameters share: samples, loss, graph and manifest.

A network of this kind is a folder of its own with its layers and how it scales a box; it never
imports another one's. It is run by `rtsmlm.engines.box_networks`.
"""
