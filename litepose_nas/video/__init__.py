"""Networks on videos: people followed from frame to frame, overlays and poses written as they come."""
