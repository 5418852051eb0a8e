"""What a run folder holds: names, raw recorder, audit of the lasers, report and its page.

Never import sessions or devices here: a folder is readable when they are gone.
One more file: its name in `folder`, who writes it, and a line in the README's table.
"""
