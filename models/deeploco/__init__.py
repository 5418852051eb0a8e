"""DeepLOCO: tiles to lists of emitters, trained without matching.

Boyd et al., bioRxiv 267096 (2018).
"""
