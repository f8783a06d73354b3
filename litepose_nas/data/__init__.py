"""Pictures and joints: readers, drawn people, batches. Nothing here knows a network."""
