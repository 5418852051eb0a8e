"""Frames that no camera waits for: reconstruction, catching up, the files that come of it.

Never import a session or a device here; the same localizers run live and offline.
One more way to spread the work: a class with the shape of `parallel.OfflineLocalizers`.
"""
