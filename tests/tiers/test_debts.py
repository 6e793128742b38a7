"""What a tier is owed is remembered, bounded, until it is carried out."""

import pytest

from hitrate.stores import debts as module
from hitrate.stores.debts import Debts

A, B, C = (b"ns", b"a"), (b"ns", b"b"), (b"other", b"c")


@pytest.fixture
def debts():
    return Debts()


def doubted(debts):
    return [key for key in (A, B, C) if debts.doubts(key)]


def test_a_key_is_doubted_until_it_is_removed(debts):
    debts.owe("write", [A])
    assert doubted(debts) == [A]
    bill = debts.bill()
    assert bill[0] == [("write", {A: None})]
    debts.carried_out(*bill)
    assert doubted(debts) == []
    assert not debts


def test_a_namespace_is_doubted_until_it_is_cleared(debts):
    debts.owe("clear", [b"ns"])
    assert doubted(debts) == [A, B]
    debts.carried_out(*debts.bill())
    assert not debts


def test_namespaces_under_a_prefix_are_doubted_until_they_are_cleared(debts):
    debts.owe("clear_under", b"n")
    assert doubted(debts) == [A, B]
    bill = debts.bill()
    assert bill[0] == [("clear_under", b"n")]
    debts.owe("clear_under", b"o")
    debts.carried_out(*bill)
    assert doubted(debts) == [C]
    debts.carried_out(*debts.bill())
    assert not debts


def test_everything_is_doubted_until_everything_is_cleared(debts):
    debts.owe("write", [A])
    debts.owe("clear", None)
    assert doubted(debts) == [A, B, C]
    assert debts.bill()[0] == [("clear", None)]
    debts.carried_out(*debts.bill())
    assert not debts


def test_what_comes_to_be_owed_while_a_bill_is_carried_out_stays_owed(debts):
    debts.owe("write", [A, B])
    bill = debts.bill()
    debts.owe("write", [B])
    debts.owe("clear", [b"other"])
    debts.carried_out(*bill)
    assert doubted(debts) == [B, C]
    debts.owe("clear", None)
    bill = debts.bill()
    debts.owe("clear", None)
    debts.carried_out(*bill)
    assert doubted(debts) == [A, B, C]


def test_a_write_pays_what_was_owed_before_it_began(debts):
    debts.owe("write", [A])
    since = debts.now()
    debts.owe("write", [B])
    debts.paid([A, B], since)
    assert doubted(debts) == [B]


def test_a_key_that_is_being_written_is_doubted_for_as_long(debts):
    debts.begin("one", [A])
    debts.begin("two", [A, B])
    debts.end("one")
    assert doubted(debts) == [A, B]
    debts.end("two")
    assert doubted(debts) == []


def test_very_many_keys_become_their_namespaces_and_these_become_everything(debts, monkeypatch):
    monkeypatch.setattr(module, "KEYS_AT_MOST", 2)
    monkeypatch.setattr(module, "NAMESPACES_AT_MOST", 2)
    debts.owe("write", [A, (b"ns", b"1"), (b"ns", b"2")])
    assert doubted(debts) == [A, B]
    debts.owe("clear", [b"n1"])
    assert doubted(debts) == [A, B]
    debts.owe("clear", [b"n2"])
    assert doubted(debts) == [A, B, C]


def test_very_many_prefixes_become_everything(debts, monkeypatch):
    monkeypatch.setattr(module, "PREFIXES_AT_MOST", 1)
    debts.owe("clear_under", b"n")
    assert doubted(debts) == [A, B]
    debts.owe("clear_under", b"n1")
    assert debts.bill()[0] == [("clear", None)]
    assert doubted(debts) == [A, B, C]


def test_a_bill_is_bounded(debts, monkeypatch):
    monkeypatch.setattr(module, "PAID_AT_ONCE", 2)
    debts.owe("write", [A, B, C])
    for left in ([C], []):
        debts.carried_out(*debts.bill())
        assert doubted(debts) == left
