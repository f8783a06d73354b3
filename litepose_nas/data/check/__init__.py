"""Checks that name everything wrong in a dataset, where the strict reader stops at the first fault."""
