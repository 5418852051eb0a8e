"""The acquisition process: camera, ring, recorder, lasers, and the order of their end.

Never import Qt, typer or the benches here; a host program may hold a session.
One more part of a run: built in `session.Session`, taken down in `_take_down`, in order.
"""
