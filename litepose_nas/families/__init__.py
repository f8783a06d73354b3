"""Families of networks: each file or folder is one, with a plan (tree -> blocks), a forward (the wiring), a FAMILY."""
