"""Localizing without a camera: reconstruction, catching up, and the files of the results.

Never import a session or a device here; the same localizers run live and offline.
One more way to spread the work: a class with the shape of `parallel.OfflineLocalizers`.
"""
