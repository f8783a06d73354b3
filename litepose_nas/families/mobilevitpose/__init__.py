"""MobileViTPose and MobileViT."""
