"""From what is seen to what the laser does: estimate, law, guard."""
