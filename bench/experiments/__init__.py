"""What is done to measure: each module's ``measure(conditions, **what)`` returns numbers by part and contender.

Each fills one or more cells. They are imported by name when they are run, not here.
"""
