"""Moving entries: exports of a cache, and what is taken over from other libraries' caches.

=====================  =================================================================================================
``exports.py``         the file of an export
``taking.py``          records are taken into a cache, batch by batch
``foreign.py``         how other libraries' SQLite files are opened
``from_diskcache.py``  diskcache's caches
``from_langchain.py``  LangChain's caches of models
``from_langgraph.py``  LangGraph's own cache
=====================  =================================================================================================
"""
