"""Keys by content: what a call was given, in a canonical encoding, hashed.

``docs/stable-keys.md`` has the encoding. It is the serializer's where that is canonical, of the same types and with the
same extension codes; what is particular to keys is here.

====================  ==================================================================================================
``calls.py``          ``stable_key``: the key of a call; ``options.py`` and ``selection.py``: what of the call counts
``parts.py``          what a key was made of, for ``explain``
``canonical.py``      the canonical encoding; ``walking.py`` is its slow path
``rules.py``          how each type is written: by the serializer, or by the files below
``plain.py``          types of the standard library
``arrays.py``         NumPy's arrays and scalars; ``masked.py`` has its masked arrays
``pandas_frames.py``  pandas; ``polars_frames.py``: polars
``messages.py``       LangChain's messages; ``langchain_.py``: its models, tools, prompts and chains
``classes.py``        instances of user classes; ``instances.py``: what keys take of any,
                      ``class_fields.py``: what a class says of its fields
``class_objects.py``  classes and modules themselves
``functions.py``      functions, by code and what they hold; ``sources.py``: what their code says
``describing.py``     the digest of what a function or class is made of; ``named.py``: what is told by a name
``installed.py``      what is the program's own code, and what belongs to installed packages
====================  ==================================================================================================
"""
