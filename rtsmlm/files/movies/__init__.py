"""Recordings of any kind, opened by `open_movie` and read in batches, lazily.

Never import localizers or tables here.
One more format: a file with a function that returns a `Movie`, and a line in `open`.
"""

from rtsmlm.files.movies.open import open_movie

__all__ = ["open_movie"]
