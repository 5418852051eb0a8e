"""Networks as localizers, one file per runtime.

An engine takes a model folder (`rtsmlm.models.manifest`) and is a `rtsmlm.protocols.Localizer`:
raw frames in, localizations out. It feeds the ONNX model as its manifest says and hands the maps to
`rtsmlm.decode`, so that all engines give the same rows.
"""
