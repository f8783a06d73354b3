"""Figures: how good predictions are, each metric a file of plain functions from arrays or documents to numbers."""
