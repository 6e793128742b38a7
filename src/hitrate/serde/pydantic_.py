"""Pydantic models, LangChain's messages and documents among them: their state, set back without validation."""

from __future__ import annotations

import types
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry, describe
from hitrate.serde.registry import Plan, Refused, register_classes

_STATE = vars(BaseModel)
_SLOTS = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_get_set, _get_extra, _get_private = (_STATE[name].__get__ for name in _SLOTS)
_put_set, _put_extra, _put_private = (_STATE[name].__set__ for name in _SLOTS)
_put_dict = _STATE["__dict__"].__set__


def _plan(cls: type) -> Plan | None:
    if cls is SecretStr or cls is SecretBytes:
        return _secret_plan(cls)
    if BaseModel not in ancestry(cls) or not issubclass(cls, BaseModel):
        return None
    if not cls.__pydantic_complete__:
        raise Refused("its definition is not complete yet (see pydantic's model_rebuild)")
    for base in ancestry(cls):
        if base is not BaseModel and any(type(each) is types.MemberDescriptorType for each in vars(base).values()):
            raise Refused("it has slots besides its fields")
    fields = [f"{name}:{describe(info.annotation)}" for name, info in cls.__pydantic_fields__.items()]
    fields += ["private", *cls.__private_attributes__]
    if cls.__pydantic_root_model__:
        return Plan(cls, ["root model", *fields], _dump_root, _restorer_of_root(cls))
    return Plan(cls, ["model", *fields], _dump, _restorer(cls))


def _dump(obj: Any, mark: str) -> list[Any]:
    return [mark, [*_get_set(obj)], _get_extra(obj), _get_private(obj), obj.__dict__]


def _restorer(cls: type) -> Any:
    new = object.__new__
    put_set, put_extra, put_private, put_dict = _put_set, _put_extra, _put_private, _put_dict

    def restore(state: list[Any]) -> Any:
        _, names, extra, private, attributes = state
        if type(attributes) is not dict or type(names) is not list:
            raise DecodeError("the stored state of a model is none")
        if (extra is not None and type(extra) is not dict) or (private is not None and type(private) is not dict):
            raise DecodeError("the stored state of a model is none")
        made: Any = new(cls)
        put_dict(made, attributes)
        put_set(made, {*names})
        put_extra(made, extra)
        put_private(made, private)
        return made

    return restore


def _dump_root(obj: Any, mark: str) -> list[Any]:
    return [mark, [*_get_set(obj)], obj.__dict__]


def _restorer_of_root(cls: type) -> Any:
    """A RootModel has neither extra nor private attributes, and its slots for them are unset."""

    def restore(state: list[Any]) -> Any:
        _, names, attributes = state
        if type(attributes) is not dict or type(names) is not list:
            raise DecodeError("the stored state of a model is none")
        made: Any = object.__new__(cls)
        _put_dict(made, attributes)
        _put_set(made, {*names})
        return made

    return restore


def _secret_plan(cls: type) -> Plan:
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

    return Plan(cls, ["secret"], dump, restore, open=True)


register_classes(_plan)
