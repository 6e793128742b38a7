"""Frames and series of polars: names, types and elements; the buffers are hashed on their own."""

from __future__ import annotations

from functools import partial

import polars as pl

from hitrate.content.arrays import digest
from hitrate.content.rules import OVERRIDES
from hitrate.serde.polars_ import encode_frame, encode_series

OVERRIDES[pl.DataFrame] = partial(encode_frame, buffer=digest)
OVERRIDES[pl.Series] = partial(encode_series, buffer=digest)
