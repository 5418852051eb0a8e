"""SimMicroscope and its devices: camera, lasers and stage look at the same sample.

Never import localizers or sessions here: a simulator does not know who looks.
One more device: a Python device of pymmcore-plus that asks the hub for the microscope.
"""
