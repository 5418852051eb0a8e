"""DECODE: three frames to maps of emitters with errors and background.

Speiser et al., Nat. Methods 18, 1082 (2021); written anew from the paper and its settings.
"""
