"""Search: proposing architectures, recording what they score, and the front of the best; no networks in here."""
