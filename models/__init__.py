"""Networks: simulation, training, weights with their manifest, export. Imported as rtsmlm.models.

`manifest` needs no torch, `export` needs onnx; everything that trains needs the extra `train`.
"""
