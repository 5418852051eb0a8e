"""Where the window reads a run: the stream of a live one, the folder of a finished one.

Never import widgets here: a source is polled and answers with an update.
One more: a class with the shape of `updates.Source`, and a line in `open_source`.
"""
