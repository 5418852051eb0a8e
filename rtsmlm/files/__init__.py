"""One file per format. `movies.open` and `tables.read` are the only doors for readers.

Never import devices, engines or Qt here.
One more format: a file in `movies` or `tables`, and a line where `open` or `read` chooses.
"""
