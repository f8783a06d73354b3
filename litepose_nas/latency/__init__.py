"""Latency: the milliseconds of networks, measured in a runtime and kept with what they were measured on."""
