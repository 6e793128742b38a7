"""Dataclasses: the instance's own attributes, whether in a dict or in slots, set back as they were."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes, dataclass_fields, described_fields, has_default
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes
from hitrate.serde.set_by_init import always_set


def _form(cls: type) -> Form | None:
    described = described_fields(cls)
    if described is None:
        return None
    fields = dataclass_fields(cls)
    # What __init__ does not set may stay unset; what the class has under the name is seen where the instance has none.
    optional = [name for name, each in fields.items() if not each.init or has_default(cls, name)]
    return plain_form(cls, ["dataclass", *described], declared=fields, optional=optional)


def plain_form(
    cls: type, fields: list[str], *, declared: Iterable[str] = (), optional: Collection[str] = (), open: bool = False
) -> Form:
    """Return the form of a class whose instances are nothing but attributes.

    Args:
        cls: the class.
        fields: the name of its family, and what is known of its fields.
        declared: names of attributes that are stored and restored only together; all slots if none are given.
        optional: those of them that an instance may lack. It is stored with their names, and comes back without them.
        open: whether ``types=`` leaves it alone.

    Raises:
        Refused: instances hold more than that, or cannot be made without the class's own code.
    """
    attributes = Attributes(cls)
    slots, has_dict = attributes.slots, attributes.has_dict
    names = [*declared] or [*slots]
    others = [name for name in always_set(cls) if name not in slots]
    attributes.declare(dict.fromkeys([*slots, *names, *others]), {*optional, *slots.keys() - names})
    if not slots:
        return _form_of_dict(cls, fields, attributes, open=open)
    new, put_dict, names_of_slots = object.__new__, attributes.put_dict, [*slots]
    getters = [(name, member.__get__) for name, member in slots.items()]
    setters = [member.__set__ for member in slots.values()]

    def dump(obj: Any, mark: str) -> list[Any]:
        others = obj.__dict__ if has_dict else None
        missing: list[str] = []
        try:
            filled = {name: get(obj) for name, get in getters}
        except AttributeError:
            filled = attributes.filled(obj)
            missing = attributes.in_slots.missing(filled)
        if others is not None:
            missing += attributes.in_dict.missing(others)
        return [mark, filled, others, missing] if missing else [mark, filled, others]

    def restore(state: list[Any]) -> Any:
        filled = state[1]
        if len(state) != 3 or has_dict or type(filled) is not dict or [*filled] != names_of_slots:
            return restore_with_care(*state)
        if state[2] is not None:
            raise DecodeError("stored attributes are none")
        made: Any = new(cls)
        for put, value in zip(setters, filled.values()):  # noqa: B905 - one for each, and strict takes time
            put(made, value)
        return made

    def again(state: list[Any]) -> Any:
        made: Any = new(cls)
        for name, value in state[1].items():
            slots[name].__set__(made, value)
        if has_dict:
            put_dict(made, state[2])
        return made

    def restore_with_care(_: str, filled: Any, others: Any, missing: Any = ()) -> Any:
        attributes.check(filled, others, missing)
        made: Any = new(cls)
        attributes.fill(made, filled)
        put_dict(made, others)
        return made

    return Form(cls, [*fields, "slots", *slots], dump, restore, again=again, open=open)


def _form_of_dict(cls: type, fields: list[str], attributes: Attributes, *, open: bool) -> Form:
    new, put_dict, declared = object.__new__, attributes.put_dict, attributes.in_dict
    get_all, names = declared.get_all, declared.names
    if not attributes.has_dict and names:
        raise Refused("its fields are not where they were declared")

    def dump(obj: Any, mark: str) -> list[Any]:
        attributes = obj.__dict__
        try:
            get_all(attributes)
        except KeyError:
            return [mark, attributes, declared.missing(attributes)]
        return [mark, attributes]

    def restore(state: list[Any]) -> Any:
        attributes = state[1]
        if len(state) != 2 or type(attributes) is not dict or [*attributes] != names:
            declared.check(*state[1:])
        made: Any = new(cls)
        put_dict(made, attributes)
        return made

    def again(state: list[Any]) -> Any:
        made: Any = new(cls)
        put_dict(made, state[1])
        return made

    return Form(cls, fields, dump, restore, again=again, open=open)


def checked(form: Form, is_whole: Callable[[Any], bool], otherwise: str) -> Form:
    """Let a form store and restore only instances that are whole.

    Args:
        form: the form, which is changed.
        is_whole: tells whether an instance has what its own methods count on.
        otherwise: what is the matter if it has not.
    """
    dump, restore = form.dump, form.restore

    def dump_whole(obj: Any, mark: str) -> list[Any]:
        state = dump(obj, mark)
        if not is_whole(obj):
            raise Refused(otherwise)
        return state

    def restore_whole(state: list[Any]) -> Any:
        made = restore(state)
        if not is_whole(made):
            raise DecodeError(f"a stored instance is not whole: {otherwise}")
        return made

    form.dump, form.restore = dump_whole, restore_whole
    return form


register_classes(_form)
