"""Computing what a cache does not hold: once for all who ask at the same time, and ahead of its expiry.

===================  ===================================================================================================
``cache.py``         ``ComputingCache``: what every cache gains by it
``function.py``      ``cached``, and what it makes of a function; ``wrapper.py`` has it pass for one, ``protocol.py``
                     types it
``identity.py``      which function it is: its namespace, and what tells it from all others
``call_keys.py``     the keys of its calls
``terms.py``         TTL, lease, staleness: checked once, used for each call
``computing.py``     asks the cache, boards a flight, and leads it or waits for it
``flight.py``        a flight, which a call leads and others wait for; ``flights.py``: those of a cache
``leading.py``       leading a flight: look again, take the lease, compute, store, land
``used_up.py``       results that the first who takes them uses up
``refreshing.py``    in the background, before or after an expiry
``looking.py``       how old an entry is, and whether it is an exception
``exceptions.py``    exceptions as values
``control_flow.py``  what belongs to one run of a host and must not reach others
===================  ===================================================================================================

Why it is so, with figures: ``docs/design/compute.md``.
"""
