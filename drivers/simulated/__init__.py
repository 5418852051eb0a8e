"""SimMicroscope and its devices: camera, lasers and stage share one sample.

Never import localizers or sessions here: a simulator does not know its users.
One more device: a Python device of pymmcore-plus that asks the hub for the microscope.
"""
