"""All that compares: accuracy, speed, control laws, and the peers on the same data.

Nothing but `cli` imports this; figures in documents come from here.
One more bench: a folder with scene, measure, figures and page.
"""
