"""Compression and encryption around a serializer, each alone and together."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import (
    BoundSerializer,
    EncryptedSerializer,
    MsgpackSerializer,
    SerializerProtocol,
    ZstdSerializer,
    train_dictionary,
)

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
TEXT = {"text": "the quick brown fox " * 200, "n": (1, 2)}


def replies(count: int = 400) -> list[Any]:
    return [
        {"id": i, "reply": f"The answer to question {i} is {i * 7919 % 1000}, said the model."} for i in range(count)
    ]


def test_compression_makes_payloads_smaller_and_keeps_values() -> None:
    serde, plain = ZstdSerializer(), MsgpackSerializer()
    encoding, payload = serde.dumps_typed(TEXT)
    assert encoding == "zstd+msgpack"
    assert len(payload) * 10 < len(plain.dumps_typed(TEXT)[1])
    assert serde.loads_typed((encoding, payload)) == TEXT


def test_what_is_small_or_does_not_compress_is_left_as_it_is() -> None:
    serde = ZstdSerializer()
    for value in (None, 1, "short", os.urandom(10_000)):
        encoding, payload = serde.dumps_typed(value)
        assert not encoding.startswith("zstd+")
        assert serde.loads_typed((encoding, payload)) == value


def test_entries_from_before_compression_are_still_read() -> None:
    assert ZstdSerializer().loads_typed(MsgpackSerializer().dumps_typed(TEXT)) == TEXT


def test_a_dictionary_makes_small_values_smaller_and_is_needed_to_read_them() -> None:
    dictionary = train_dictionary(replies(), size=4096)
    serde = ZstdSerializer(dictionary=dictionary, min_size=0)
    value = replies(1000)[-1]
    encoding, payload = serde.dumps_typed(value)
    assert len(payload) < len(MsgpackSerializer().dumps_typed(value)[1]) * 0.7
    assert serde.loads_typed((encoding, payload)) == value
    other = train_dictionary([{"k": f"something else entirely {i}" * 3} for i in range(400)], size=4096)
    for stranger in (ZstdSerializer(), ZstdSerializer(dictionary=other)):
        with pytest.raises(DecodeError):
            stranger.loads_typed((encoding, payload))
    assert serde.loads_typed(ZstdSerializer().dumps_typed(TEXT)) == TEXT


def test_a_dictionary_cannot_be_trained_on_too_little() -> None:
    with pytest.raises(ValueError, match="samples"):
        train_dictionary([b"a"])
    with pytest.raises(ValueError, match="dictionary"):
        ZstdSerializer(dictionary=b"nonsense")
    with pytest.raises(ValueError, match="level"):
        ZstdSerializer(level=99)


def test_a_decompression_bomb_is_refused() -> None:
    serde = ZstdSerializer(max_size=1 << 20)
    bomb = zstd.compress(bytes(1 << 24))
    with pytest.raises(DecodeError, match="max_size"):
        serde.loads_typed(("zstd+bytes", bomb))
    undeclared = zstd.ZstdCompressor()
    streamed = undeclared.compress(bytes(1 << 24)) + undeclared.flush()
    with pytest.raises(DecodeError):
        serde.loads_typed(("zstd+bytes", streamed))
    assert serde.dumps_typed(bytes(1 << 21))[0] == "bytes"


def test_damage_to_compressed_payloads_is_a_decode_error() -> None:
    serde = ZstdSerializer()
    encoding, payload = serde.dumps_typed(TEXT)
    for damaged in (b"", payload[:-1], payload + b"x", payload + payload, payload[4:], b"x" * 50, payload[:6]):
        with pytest.raises(DecodeError):
            serde.loads_typed((encoding, damaged))


def test_the_greatest_size_itself_is_restored() -> None:
    serde = ZstdSerializer(max_size=5000)
    value = b"a" * 5000
    stored = serde.dumps_typed(value)
    assert stored[0] == "zstd+bytes"
    assert serde.loads_typed(stored) == value


def test_encryption_hides_and_authenticates() -> None:
    serde = EncryptedSerializer(key=KEY)
    encoding, payload = serde.dumps_typed(TEXT)
    assert encoding == "aesgcm+msgpack"
    assert b"quick" not in payload
    assert serde.loads_typed((encoding, payload)) == TEXT
    assert serde.dumps_typed(TEXT)[1] != payload
    for at in (0, 11, 12, 40, -1):
        damaged = bytearray(payload)
        damaged[at] ^= 1
        with pytest.raises(DecodeError):
            serde.loads_typed((encoding, bytes(damaged)))
    for other in ("aesgcm+bytes", "aesgcm+str", "aesgcm+", "msgpack", "aesgcm"):
        with pytest.raises(DecodeError):
            serde.loads_typed((other, payload))
    for short in (b"", b"x", payload[:12], payload[:20]):
        with pytest.raises(DecodeError):
            serde.loads_typed((encoding, short))


def test_what_is_not_encrypted_is_refused() -> None:
    with pytest.raises(DecodeError, match="not encrypted"):
        EncryptedSerializer(key=KEY).loads_typed(MsgpackSerializer().dumps_typed(TEXT))


def test_an_entry_is_good_only_for_its_own_key() -> None:
    serde = EncryptedSerializer(key=KEY)
    stored = serde.dumps_bound(TEXT, b"one")
    assert serde.loads_bound(stored, b"one") == TEXT
    for binding in (b"two", b"", b"one\0"):
        with pytest.raises(DecodeError):
            serde.loads_bound(stored, binding)
    with pytest.raises(DecodeError):
        serde.loads_typed(stored)
    with pytest.raises(DecodeError):
        serde.loads_bound(serde.dumps_typed(TEXT), b"")


def test_keys_rotate() -> None:
    old, new = EncryptedSerializer(key=OTHER), EncryptedSerializer(key=[KEY, OTHER])
    assert new.loads_typed(old.dumps_typed(TEXT)) == TEXT
    with pytest.raises(DecodeError):
        old.loads_typed(new.dumps_typed(TEXT))


@pytest.mark.parametrize("key", [b"", b"short", [], [b"x" * 31], b"x" * 33])
def test_a_key_of_the_wrong_length_is_a_value_error(key: Any) -> None:
    with pytest.raises(ValueError, match="key"):
        EncryptedSerializer(key=key)


def test_a_key_that_is_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        EncryptedSerializer(key=["x" * 32])  # type: ignore[list-item]


def test_wrappers_compose() -> None:
    serde = EncryptedSerializer(ZstdSerializer(), key=KEY)
    encoding, payload = serde.dumps_bound(TEXT, b"k")
    assert encoding == "aesgcm+zstd+msgpack"
    assert len(payload) < 400
    assert serde.loads_bound((encoding, payload), b"k") == TEXT
    twice = EncryptedSerializer(EncryptedSerializer(key=KEY), key=OTHER)
    assert twice.loads_bound(twice.dumps_bound(TEXT, b"k"), b"k") == TEXT


def test_compressing_what_is_encrypted_is_a_mistake_that_is_said() -> None:
    with pytest.raises(TypeError, match="compress first"):
        ZstdSerializer(EncryptedSerializer(key=KEY))


def test_the_protocols_are_met() -> None:
    encrypted: BoundSerializer = EncryptedSerializer(key=KEY)
    serializers: list[SerializerProtocol] = [MsgpackSerializer(), ZstdSerializer(), encrypted]
    assert all(isinstance(each, SerializerProtocol) for each in serializers)
    assert [isinstance(each, BoundSerializer) for each in serializers] == [False, False, True]


def test_refusals_pass_through_wrappers() -> None:
    for serde in (ZstdSerializer(), EncryptedSerializer(key=KEY)):
        with pytest.raises(SerializationError):
            serde.dumps_typed(object())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["zstd+msgpack", "zstd+zstd+msgpack", "zstd+", "aesgcm+msgpack"]))
def test_random_bytes_give_a_value_or_a_decode_error(payload: bytes, encoding: str) -> None:
    for serde in (ZstdSerializer(), EncryptedSerializer(key=KEY)):
        try:
            serde.loads_typed((encoding, payload))
        except DecodeError:
            pass


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("ZstdSerializer", "backports", "zstd"), ("EncryptedSerializer", "cryptography", "crypto")],
)
def test_a_missing_extra_is_said(name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info >= (3, 14) and extra == "zstd":
        return
    import hitrate.serde

    module = {"zstd": "hitrate.serde.zstd", "crypto": "hitrate.serde.encrypted"}[extra]
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(vars(hitrate.serde), name, raising=False)
    for loaded in [each for each in sys.modules if each.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install '\.\[{extra}\]'"):
        getattr(hitrate.serde, name)
