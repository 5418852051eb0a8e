"""Control laws, ours and those of others, on a simulated field of emitters.

Nothing but `cli` imports this.
One more law: a class in `peer_laws` with its source; one more situation: in `scenarios`.
"""
