"""Microscope database: figures of cameras, objectives and lasers that files do not state.

`cameras.toml` and `lasers.toml` ship with rtsmlm; TOML files of the same sections in the user's
folder (`database.own_folder`) come first. It knows no device and opens none: `tags` are texts by
`Device-Property`, from a movie, a Micro-Manager configuration or a core.

Here must not be imported: anything above `calibration` and `errors`.

One more camera: a section [[cameras]] with what names it, its figures and the source of each. A
figure without a source is refused.
"""
