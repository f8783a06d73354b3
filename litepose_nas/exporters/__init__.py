"""Exporters: a network as a file for another runtime, proven equal to torch before it is kept."""
