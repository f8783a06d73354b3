"""LEViTPose-like networks and EfficientViT."""
