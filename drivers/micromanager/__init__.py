"""Cameras, lasers and stages that Micro-Manager knows, through pymmcore-plus.

Never import safety, session or files here; nothing else imports pymmcore, but named doors.
One more laser make: its property names in `microscopes/lasers.toml`, with where they were read.
"""
