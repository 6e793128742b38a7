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
    debts.owe([A])
    assert doubted(debts) == [A]
    bill = debts.bill()
    assert (bill.names, bill.keys) == ([], [A])
    debts.carried_out(bill)
    assert doubted(debts) == []
    assert not debts


def test_a_namespace_is_doubted_until_it_is_cleared(debts):
    debts.owe_namespaces([b"ns"])
    assert doubted(debts) == [A, B]
    debts.carried_out(debts.bill())
    assert not debts


def test_namespaces_under_a_prefix_are_doubted_until_they_are_cleared(debts):
    debts.owe_under(b"n")
    assert doubted(debts) == [A, B]
    bill = debts.bill()
    assert (bill.names, bill.prefixes, bill.keys) == ([], [b"n"], [])
    debts.owe_under(b"o")
    debts.carried_out(bill)
    assert doubted(debts) == [C]
    debts.carried_out(debts.bill())
    assert not debts


def test_everything_is_doubted_until_everything_is_cleared(debts):
    debts.owe([A])
    debts.owe_namespaces(None)
    assert doubted(debts) == [A, B, C]
    assert debts.bill().names is None
    debts.carried_out(debts.bill())
    assert not debts


def test_what_comes_to_be_owed_while_a_bill_is_carried_out_stays_owed(debts):
    debts.owe([A, B])
    bill = debts.bill()
    debts.owe([B])
    debts.owe_namespaces([b"other"])
    debts.carried_out(bill)
    assert doubted(debts) == [B, C]
    debts.owe_namespaces(None)
    bill = debts.bill()
    debts.owe_namespaces(None)
    debts.carried_out(bill)
    assert doubted(debts) == [A, B, C]


def test_a_write_pays_what_was_owed_before_it_began(debts):
    debts.owe([A])
    since = debts.now()
    debts.owe([B])
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
    debts.owe([A, (b"ns", b"1"), (b"ns", b"2")])
    assert doubted(debts) == [A, B]
    debts.owe_namespaces([b"n1"])
    assert doubted(debts) == [A, B]
    debts.owe_namespaces([b"n2"])
    assert doubted(debts) == [A, B, C]


def test_very_many_prefixes_become_everything(debts, monkeypatch):
    monkeypatch.setattr(module, "PREFIXES_AT_MOST", 1)
    debts.owe_under(b"n")
    assert doubted(debts) == [A, B]
    debts.owe_under(b"n1")
    assert debts.bill().names is None
    assert doubted(debts) == [A, B, C]


def test_a_bill_is_bounded(debts, monkeypatch):
    monkeypatch.setattr(module, "PAID_AT_ONCE", 2)
    debts.owe([A, B, C])
    for left in ([C], []):
        debts.carried_out(debts.bill())
        assert doubted(debts) == left
