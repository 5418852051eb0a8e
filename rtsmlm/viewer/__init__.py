"""The live window, and the widget that other programs embed; the only folder that imports Qt."""
