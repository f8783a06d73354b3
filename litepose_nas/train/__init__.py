"""Training: one loop for supernets and single networks, and the recipes it follows."""
