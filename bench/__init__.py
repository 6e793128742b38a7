"""Measures hitrate's caches against LangGraph's, diskcache, cachetools and the raw limits: ``python -m bench``.

A cell is a number of the report, an experiment is what fills one or more cells. Every experiment runs in a process of
its own, in which the contenders take turns; ratios are taken within a round, so that noise hits all alike.
"""
