"""Layers: ordinary modules that take whole numbers. Nothing here knows that supernets exist, but for three small hooks:

- `centred`: the axes of a module's own weights that shrink around their middle (kernels), not from their end;
- `axes`: which axes of which weights are the same channels, so that sorting them leaves the function unchanged;
- `plain_weights()`: the plain weights of a module whose weights are computed.
"""
