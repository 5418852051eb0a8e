"""Parts of the window that show one subject each: camera, image, lasers, ledger, trends.

Never import sources or another panel here: a panel is handed an update.
One more: a widget with `show_update`, named in `live_widget`.
"""
