"""Layers: ordinary modules that take whole numbers. Nothing here knows that supernets exist, but for a few small hooks:

- `centred`: the axes of a module's own weights that shrink around their middle (kernels), not from their end;
- `window(key, big)`: where the module's own weight lives in a larger one, if not at the head of every axis;
- `plain_weights()`: the plain weights of a module whose weights are computed;
- `as_plain()`: the ordinary module of torch's that does the same, which is what an export writes.
"""
