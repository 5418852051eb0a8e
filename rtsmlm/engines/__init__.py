"""Networks as localizers: one file per runtime behind one small interface.

`runtime` says what an engine is, `network` makes a `rtsmlm.protocols.Localizer` of it, `runtimes`
chooses among them, `selection` chooses between network and fit. All engines give the same rows.
"""
