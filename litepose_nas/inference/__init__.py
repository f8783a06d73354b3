"""Networks at work on pictures and videos: what they find, the figures that makes, overlays and files of poses."""
