"""The analysis process: ring in, localizations out to file and stream; and how its owner holds it.

Never import cameras, lasers or a window here: it must outlive and be outlived by all of them.
One more event: a frozen record in `events`, and its case in `supervisor`.
"""
