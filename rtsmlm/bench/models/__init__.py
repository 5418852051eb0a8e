"""The open benchmark: networks of every kind on common ground, and the page docs/models.md.

Nothing but `cli` imports this.
One more set: a `Trial` in one of the modules `*_sets`; one more model needs no code, see
docs/how-to/add-a-network.md.
"""
