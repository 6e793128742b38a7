"""Full keys: which are legal, and that their encodings never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitrate.keys import (
    NamespaceEncoder,
    check_key,
    check_namespaces,
    check_pairs,
    encode_namespace,
    encode_text,
)

# Lone surrogates included: Python's str has them, so a key may.
texts = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["", ",", ":", "/", "\0", "a" * 128, "\ud800", "\U00010000"]
)
namespaces = st.lists(texts, max_size=4).map(tuple)


@given(namespaces, namespaces)
def test_two_namespaces_have_one_encoding_only_if_they_are_equal(one, other):
    assert (encode_namespace(one) == encode_namespace(other)) == (one == other)


@given(namespaces, namespaces)
def test_an_encoding_begins_with_that_of_each_namespace_it_extends_and_of_no_other(one, other):
    extends = one[: len(other)] == other
    assert encode_namespace(one).startswith(encode_namespace(other)) == extends


@given(texts, texts)
def test_two_texts_have_one_encoding_only_if_they_are_equal(one, other):
    assert (encode_text(one) == encode_text(other)) == (one == other)


def test_a_surrogate_pair_is_not_the_character_it_would_be_in_utf_16():
    assert encode_text("\ud800\udc00") != encode_text("\U00010000")


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("ab", "'ab'"),
        (("ns",), "('ns',)"),
        ((("ns",), "key", "more"), "more"),
        (["ns", "key"], "list"),
        (("ns", "key"), "tuple of its letters"),
        ((["ns"], "key"), "list"),
        ((("ns", 1), "key"), "int"),
        ((("ns", None), "key"), "NoneType"),
        ((("ns",), 1), "int"),
        ((("ns",), b"key"), "bytes"),
        (None, "NoneType"),
    ],
)
def test_a_wrong_key_is_named(key, named):
    with pytest.raises(TypeError) as caught:
        check_key(key)
    assert named in str(caught.value)


@pytest.mark.parametrize("wrong", ["ns", b"ns", ("a", "b"), [("a", 1)], ["a"], 1, {("a",): 1}])
def test_wrong_namespaces_are_refused(wrong):
    with pytest.raises(TypeError):
        check_namespaces(wrong)


def test_an_empty_tuple_is_no_namespace_at_all_and_a_list_of_it_is_one():
    assert check_namespaces(()) == []
    assert check_namespaces([()]) == [()]


@pytest.mark.parametrize("wrong", [None, [], "pairs", {1, 2}])
def test_pairs_are_a_mapping(wrong):
    with pytest.raises(TypeError, match="mapping"):
        check_pairs(wrong)


def test_a_namespace_encoder_remembers_a_bounded_number():
    names = NamespaceEncoder(lambda namespace: None)
    for number in range(10_000):
        assert names[(str(number),)] == encode_namespace((str(number),))
    assert len(names) <= 4096


def test_a_long_key_is_not_repeated_whole_in_its_error():
    with pytest.raises(TypeError) as caught:
        check_key((("ns",), b"x" * 10_000))
    assert len(str(caught.value)) < 500
