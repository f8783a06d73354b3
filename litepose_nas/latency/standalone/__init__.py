"""What runs on the device that is measured, and needs no more than Python 3.8 and numpy.

A kit holds a copy of this folder, so its files import nothing else of this project, and each other by relative names.
"""
