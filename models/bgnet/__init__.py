"""BGnet: one box to the background under its emitter, which a fit then need not take for flat.

After Möckl, Roy, Petrov & Moerner, PNAS 117, 60 (2020): a U-Net of three levels for boxes of 12
pixels (266 017 parameters), of four for the boxes of 40 pixels of a tetrapod (1 742 113). Its code
could not be had; the layers are those of the paper's figure, input scale and loss are our own. The
packaged size has fewer channels. All that is not the emitter in the middle is background:
structure, slopes, clouds, and neighbours. Never import another network's folder here.
"""
