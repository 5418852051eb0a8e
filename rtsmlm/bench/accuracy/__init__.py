"""Localizers on simulated and reference movies: recall, error against the CRLB, errors' honesty.

Nothing but `cli` imports this.
One more scene: in `scenes`, with its truth; one more contender: in `contenders`.
"""
