"""Networks: a folder each, with its layers, losses, decoding, recipe; what they share beside them.

Never import engines or sessions here, and no network from another's folder.
One more network: docs/how-to/add-a-network.md.
"""
