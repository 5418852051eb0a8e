"""Other programs, run on the same movies in environments of their own.

Nothing but `cli` imports this; a peer is a process, never an import.
One more: a script of its own like `peer_picasso`, and its name in `peers`.
"""
