"""Hardware in the loop: a rig is rehearsed, and every fault that can be provoked is provoked."""
