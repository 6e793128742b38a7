"""How a program teaches a type, as type checkers see it."""

from __future__ import annotations

from typing import Any

from hitrate.serde import register


class Money:
    def __init__(self, amount: int) -> None:
        self.amount = amount


def load(state: Any) -> Money:
    return Money(state)


register(Money, name="shop.Money", dump=lambda money: money.amount, load=load)
register(
    Money,
    name="shop.Money",
    dump=lambda money: [money.amount],
    load=lambda state: Money(*state),
    key=lambda m: m.amount,
)
register(Money, name="shop.Money", dump=lambda money: money.nothing, load=load)  # type: ignore[attr-defined]
register(Money, name="shop.Money", dump=len, load=load)  # type: ignore[arg-type]
