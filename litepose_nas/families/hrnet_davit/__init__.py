"""HigherHRNet with a DaViT beside it."""
