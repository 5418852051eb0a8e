"""Run configurations (TOML) and Micro-Manager configurations (.cfg) that ship with rtsmlm."""
