"""DeepSTORM3D: frames to volumes of emitters, and the phase mask that goes with them.

Nehme et al., Nat. Methods 17, 734 (2020).
"""
