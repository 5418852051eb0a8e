"""`report.html`: one page that tells a run, for who was not there; no script, nothing fetched.

Everything on it comes from the run folder (`gather`), so that the page can be made again at any
time, also of what a crash has left (`rebuild`). Never import a camera, a laser or Qt here.
One more section: a function in `sections`, and its line in `write`.
"""
