"""Parts of the window that show one subject each: camera, image, lasers, ledger, trends.

Never import a source or another panel here: a panel is handed an update.
One more: a widget with the methods of `panel.Panel`, and its line in `LiveWidget._make_panels`.
"""
