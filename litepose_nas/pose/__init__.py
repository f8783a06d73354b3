"""The tasks: targets, losses, decode and metrics. Nothing here knows a network."""
