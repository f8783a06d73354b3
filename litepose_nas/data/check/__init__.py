"""A look at a whole dataset that names everything wrong in it, where the strict reader stops at the first fault."""
