"""Analysis of rows: matching to truth, metrics, resolution, validity of the model.

Never import devices, engines or sessions here: rows and frames in, figures out.
One more figure: incremental if it is shown live, and with a test against a known answer.
"""
