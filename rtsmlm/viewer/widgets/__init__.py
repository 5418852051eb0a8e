"""Pieces that panels are built of: canvas, plots, keys, colours; `qt` is the door to the toolkit.

Never import panels or sources here: a piece knows no run.
One more: a widget that is given values and emits what was clicked.
"""
