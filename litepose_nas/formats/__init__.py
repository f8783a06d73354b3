"""File formats of architectures, read without torch: subnet.json, LitePose's own JSON, the header of safetensors."""
