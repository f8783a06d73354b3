"""Executors run jobs in this process, in several, or on a Ray cluster, behind one protocol.

Only the calling process writes journals. The job of a lost worker goes to another worker.
"""
