"""Keys by content: what a call was given, in a canonical encoding, hashed.

``docs/stable-keys.md`` has the encoding. It is the serializer's where that is canonical, of the same types and with the
same extension codes; what is particular to keys is here.
"""
