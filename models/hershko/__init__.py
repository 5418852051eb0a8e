"""Two colours in one grey frame, by a phase mask that is learned with the network that reads it.

After Hershko, Weiss, Michaeli & Shechtman, Opt. Express 27, 6158 (2019), whose code could not be
had: the layers are a stand-in with transposed convolutions, as the paper describes them, of
652 610 parameters for two colours. A modulator shows one pattern of voltages; its phase is larger
for shorter wavelengths, and so are the spots of each dye of their own shape. The mask here is a
sum of Zernike modes. Never import another network's folder here.
"""
