"""Tables of localizations: Arrow is native, `read_table` and `export` know the others.

Never import movies, localizers or a run folder here.
One more format: a file that reads and writes it, a line in `read` and one in `export`.
"""

from rtsmlm.files.tables.export import export
from rtsmlm.files.tables.read import read_table

__all__ = ["export", "read_table"]
