"""Settings of a run: one file per section of the TOML, `load` reads, `resolve` completes.

Never import devices, engines or files of data here: settings are values and their limits.
A new section: a model in a file of its own, a field of `run.RunSettings`, a paragraph in
`configs/example_rig.toml`.
"""

from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

__all__ = ["RunSettings", "load"]
