"""All that stands between a command and light: guards, watchdog, sentinel, audit.

Never import feedback, session or stream here; a review of safety reads this folder alone.
One more limit: a check in a guard that trips, a row in the audit, a drill in `rtsmlm.hil`.
"""
