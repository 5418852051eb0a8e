"""The window process: what a run sends, drawn; the only folder with Qt, by `widgets.qt` alone.

Never import devices or a session here, but in the plug-in's `widget`.
One more panel: a file in `panels`, and a line in `LiveWidget._make_panels`.
"""
