"""Search: propose architectures, record their scores, keep the front of the best.

A search method is a pure function from what is known to the next batch (`nsga2.py`); `BatchedSearcher` makes a searcher
of it. All but `scoring.py` import no torch: `loop.py` is handed what evaluates.
"""
