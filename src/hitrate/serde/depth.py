"""A bound on nesting: what is stored in a few kilobytes must not be able to exhaust the stack of the reader.

``unpackb`` recurses in C, some 600 bytes of stack a level, and allows 1,022 levels in a document. Documents nest
through extensions, so without a bound of our own 64 kB of hostile bytes overflow an 8 MB stack. The first four are left
to its limit, each further one may be ``NATIVE`` deep, and at most ``DOCUMENTS`` nest: 5 MB at the worst.

Each nested document is a copy of a part of the one around it, all copies are in memory at once, and measuring the depth
of one takes time. So only the outermost ``LARGE`` documents may have any size, and those further in at most ``SMALL``
bytes: decoding takes ten times the bytes of a payload, not sixty.
"""

from __future__ import annotations

import re

DOCUMENTS = 64
FREE = 4
NATIVE = 64
LARGE = 6
SMALL = 1 << 15

_NOT_CONTAINERS = bytes(b for b in range(256) if not (0x80 <= b <= 0x9F or 0xDC <= b <= 0xDF))
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
_SIZED |= {0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_SINGLE = frozenset({0x90, 0xA0, 0xC0, 0xC2, 0xC3})
# Items of one byte: small ints, nil, booleans, and containers and texts that are empty. They come in long runs.
_RUN = re.compile(rb"[\x00-\x80\x90\xa0\xc0\xc2\xc3\xe0-\xff]+")
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def is_within_bounds(document: bytes, level: int) -> bool:
    """Tell whether a document is no deeper and no larger than it may be at a level; 1 is that within the outermost."""
    return level < FREE or ((level <= LARGE or len(document) <= SMALL) and is_shallow(document))


def is_shallow(document: bytes) -> bool:
    """Tell whether the arrays and maps of a document nest at most ``NATIVE`` deep, extensions not entered."""
    # Most documents are too small, or hold too few bytes that could open a container, to be deep.
    if len(document) <= NATIVE or len(document.translate(None, _NOT_CONTAINERS)) <= NATIVE:
        return True
    open_counts: list[int] = []
    at, end = 0, len(document)
    while at < end:
        marker = document[at]
        if open_counts and (marker <= 0x80 or marker >= 0xE0 or marker in _SINGLE):
            run = _RUN.match(document, at, at + open_counts[-1])
            length = 1 if run is None else run.end() - at
            at += length - 1
            open_counts[-1] -= length - 1
        at += 1
        count = -1
        if 0x80 <= marker <= 0x8F:
            count = (marker & 15) * 2
        elif marker <= 0x9F and marker >= 0x90:
            count = marker & 15
        elif 0xA0 <= marker <= 0xBF:
            at += marker & 31
        elif marker in _FIXED:
            at += _FIXED[marker]
        elif marker in _SIZED:
            width, extra = _SIZED[marker]
            at += width + extra + int.from_bytes(document[at : at + width], "big")
        elif marker in _COUNTED:
            width, factor = _COUNTED[marker]
            count = int.from_bytes(document[at : at + width], "big") * factor
            at += width
        if count > 0:
            open_counts.append(count)
            if len(open_counts) > NATIVE:
                return False
            continue
        while open_counts:
            open_counts[-1] -= 1
            if open_counts[-1]:
                break
            open_counts.pop()
        if not open_counts:
            return True
    return True
