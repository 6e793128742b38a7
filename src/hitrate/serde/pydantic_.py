"""Pydantic models, LangChain's messages and documents among them: their state, set back without validation."""

from __future__ import annotations

import types
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import PydanticUndefined

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Declared, check_names
from hitrate.serde.classes import ancestry, annotation, describe
from hitrate.serde.dataclasses_ import plain_form
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, listed, register_classes

_STATE = vars(BaseModel)
_SLOTS = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_get_set, _get_extra, _get_private = (_STATE[name].__get__ for name in _SLOTS)
_put_set, _put_extra, _put_private = (_STATE[name].__set__ for name in _SLOTS)
_put_dict = _STATE["__dict__"].__set__


_WHOLE = 5  # parts of the state of a model that lacks nothing


def _form(cls: type) -> Form | None:
    if cls is SecretStr or cls is SecretBytes:
        return _secret_form(cls)
    if Secret in ancestry(cls):
        return plain_form(cls, ["secret of a type"], declared=["_secret_value"], open=cls is Secret)
    if BaseModel not in ancestry(cls) or not issubclass(cls, BaseModel):
        return None
    for base in ancestry(cls):
        if base is not BaseModel and any(type(each) is types.MemberDescriptorType for each in vars(base).values()):
            raise Refused("it has slots besides its fields")
    fields = [
        f"{name}:{describe(annotation(cls, name, info.annotation))}" for name, info in cls.__pydantic_fields__.items()
    ]
    fields += ["private", *cls.__private_attributes__]
    if cls.__pydantic_root_model__:
        return Form(cls, ["root model", *fields], _dump_root, _restorer_of_root(cls))
    return _form_of_model(cls, fields)


def _form_of_model(cls: type[BaseModel], fields: list[str]) -> Form:
    new = object.__new__
    put_set, put_extra, put_private, put_dict = _put_set, _put_extra, _put_private, _put_dict
    names_of_fields = [*cls.__pydantic_fields__]
    # What model_construct was not given may be missing; a private attribute without a default is, until it is set.
    declared = Declared(names_of_fields, names_of_fields)
    with_default = [
        name
        for name, each in cls.__private_attributes__.items()
        if each.default is not PydanticUndefined or each.default_factory is not None
    ]
    private_declared = Declared(with_default, with_default)
    # What a model has that may go unchecked: nothing, unless it is to have private attributes.
    without_private: Any = None if not with_default else ...

    def dump(obj: Any, mark: str) -> list[Any]:
        private, attributes = _get_private(obj), obj.__dict__
        state = [mark, [*_get_set(obj)], _get_extra(obj), private, attributes]
        if [*attributes] != names_of_fields or with_default:
            missing = declared.missing(attributes) + private_declared.missing(private or {})
            if missing:
                state.append(missing)
        return state

    def restore(state: list[Any]) -> Any:
        _, names, extra, private, attributes = state if len(state) == _WHOLE else see_missing(*state)
        if type(attributes) is not dict or type(names) is not list:
            raise DecodeError("the stored state of a model is none")
        if [*attributes] != names_of_fields and len(state) == _WHOLE:
            declared.check(attributes)
        if extra is not None or private is not without_private:
            if (extra is not None and type(extra) is not dict) or (private is not None and type(private) is not dict):
                raise DecodeError("the stored state of a model is none")
            if private is not without_private and [*(private or ())] != with_default and len(state) == _WHOLE:
                private_declared.check(private or {})
        made: Any = new(cls)
        put_dict(made, attributes)
        put_set(made, {*names})
        put_extra(made, extra)
        put_private(made, private)
        return made

    def see_missing(mark: Any, names: Any, extra: Any, private: Any, attributes: Any, missing: Any) -> Any:
        absent = listed(missing)
        declared.check(attributes, [name for name in absent if name not in with_default])
        private_declared.check(private or {}, [name for name in absent if name in with_default])
        return mark, names, extra, private, attributes

    def again(state: list[Any]) -> Any:
        made: Any = new(cls)
        put_dict(made, state[4])
        put_set(made, {*state[1]})
        put_extra(made, state[2])
        put_private(made, state[3])
        return made

    return Form(cls, ["model", *fields], dump, restore, again=again)


def _dump_root(obj: Any, mark: str) -> list[Any]:
    if "root" not in obj.__dict__:
        raise Refused("its root is not set")
    return [mark, [*_get_set(obj)], obj.__dict__]


def _restorer_of_root(cls: type) -> Any:
    """A RootModel has neither extra nor private attributes, and its slots for them are unset."""

    def restore(state: list[Any]) -> Any:
        _, names, attributes = state
        if type(attributes) is not dict or type(names) is not list or "root" not in attributes:
            raise DecodeError("the stored state of a model is none")
        check_names(attributes)
        made: Any = object.__new__(cls)
        _put_dict(made, attributes)
        _put_set(made, {*names})
        return made

    return restore


def _secret_form(cls: type) -> Form:
    kind = str if cls is SecretStr else bytes

    def dump(obj: Any, mark: str) -> list[Any]:
        if type(obj._secret_value) is not kind or len(vars(obj)) != 1:
            raise Refused(f"it does not hold a {kind.__name__}")
        return [mark, obj._secret_value]

    def restore(state: list[Any]) -> Any:
        _, secret = state
        if type(secret) is not kind:
            raise DecodeError("a stored secret is none")
        made: Any = object.__new__(cls)
        made._secret_value = secret
        return made

    return Form(cls, ["secret"], dump, restore, open=True)


register_classes(_form)
