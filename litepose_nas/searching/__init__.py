"""Search: proposing architectures, recording what they score, and the front of the best; no networks in here.

A way to search is a pure function from what is known to the next round (`nsga2.py`); `Rounds` makes a searcher of it.
What evaluates is handed to `run_search`; where it runs is nobody's business here.
"""
