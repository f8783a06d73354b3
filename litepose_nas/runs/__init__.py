"""Runs on disk: a folder that knows how it was made, its metrics, its journal, its lock."""
