"""Real-time single-molecule localization microscopy."""
