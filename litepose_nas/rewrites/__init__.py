"""Rewrites: exact changes to a network before it is exported."""
