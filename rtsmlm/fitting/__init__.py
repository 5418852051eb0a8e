"""Classical localizers: detection, boxes, fits in compiled code, PSF width of unknown frames.

Never import networks or files here; a fit takes boxes and gives rows.
One more fit: a compiled function over boxes, a localizer that states the density it resolves.
"""
