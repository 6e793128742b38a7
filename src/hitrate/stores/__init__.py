"""Where entries are kept: the contract of a backend, the stores that keep it, and what several of them need.

===================  ===================================================================================================
``base.py``          the contract: ``Store``, ``Usage``, ``Page``, ``Channel`` ...
``memory/``          and ``sqlite/``, ``redis/``, ``postgres/``, ``tiered/``: the stores, each with a map of its own
``paired.py``        the sync and the async method of each operation, written once
``background.py``    a thread that runs while there is something to do; ``keeper.py``: housekeeping on one
``per_loop.py``      what a store has for each event loop; ``gathering.py``: calls of one loop that go together
``push.py``          a connection on which a server tells what changed
``withholding.py``   what a store holds and must not serve; ``debts.py`` remembers it
``oldest_first.py``  the order of a listing
``lifetime.py``      for which namespaces counters outlive the process
``reasons.py``       why a server cannot be reached
``salvaged.py``      what is told of a store of which a part cannot be read
===================  ===================================================================================================
"""
