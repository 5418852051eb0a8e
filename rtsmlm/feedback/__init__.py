"""Density, law, loop: what is seen, what is wanted, and who asks the guards for it.

Never import devices here: only `rtsmlm.safety` may command a laser.
One more stop criterion: a branch of `law.stopping.StopCriteria` and a setting.
"""
