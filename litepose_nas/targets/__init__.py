"""What targets can run: op sets, and what they leave of a search space."""
