"""The whole story on drawn people: supernet, search, extract, fine-tune, evaluate, export; minutes on a processor."""
