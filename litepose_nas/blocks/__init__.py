"""Blocks: what networks are made of. X.py holds the numbers and what they cost, X_torch.py the modules."""
