"""Channels: one emitter in several views of a frame, its place and its dye; or views one by one.

Never import networks or files here; what runs in each view by itself is handed in.
One more way to tell dyes apart: a function of what is known of an emitter in all views, which
returns the probability of each dye.
"""
