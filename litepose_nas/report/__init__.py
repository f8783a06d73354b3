"""What a search found, told from its journal alone: nothing is evaluated again, and no weights are read."""
