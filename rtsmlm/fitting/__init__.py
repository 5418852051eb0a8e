"""Classical localizers: detection, maximum likelihood and least squares, PSF width.

The default of the live pipeline, and the yardstick for every other localizer.
"""
