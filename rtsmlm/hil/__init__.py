"""Rehearsals on a rig, simulated or real: checks of camera and lasers, drills of every fault.

Nothing but `cli` imports this; keep this file empty: every pytest of a user loads it.
One more drill: an entry of a table of faults, and how darkness is measured.
"""
