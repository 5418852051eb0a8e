"""Localizing without a camera: reconstruction, catching up, and the files of the results.

Never import a session or a device here; the same localizers run live and offline.
On one machine threads share the work (`parallel`), on many the blocks of a movie do (`cluster`):
both use `Reconstruction`. One more way to spread it: hand out the functions of `cluster_tasks`.
"""
