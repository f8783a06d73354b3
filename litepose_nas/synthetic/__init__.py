"""Drawn people, robot arms and videos: data for tests, demos and first steps."""
