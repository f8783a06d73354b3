"""Importers: each file reads one foreign layout; layouts.py lists them, convert.py writes our own files."""
