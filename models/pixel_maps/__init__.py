"""Pixel maps: networks that state one possible emitter for every pixel, in physical units.

Never import another network's folder or an engine here.
Any model whose ONNX graph answers so is run from its manifest alone: docs/how-to/add-a-network.md.
"""
