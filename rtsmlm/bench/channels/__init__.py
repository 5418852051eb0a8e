"""How well an emitter in two views is placed and told apart, against the bound; and how fast.

Never import the command line here.
One more way of combining views: a function from boxes to `Estimates`, listed in `WAYS`.
"""
