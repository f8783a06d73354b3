"""Where work is done: in this process, in several, or on a Ray cluster; one protocol, so that nobody else has to know.

Only the side that asks writes journals. What a lost worker had in hand is given to another.
"""
