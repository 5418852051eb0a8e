"""How many emitters there are, from localizations and from frames that they do not explain.

Never import the law or a laser here: an estimate does not know what it is used for.
One more estimator: rows and frames in, a part of `DensityEstimate` out, checked on fields.
"""
