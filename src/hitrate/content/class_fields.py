"""What a class says of its fields: annotations, defaults and other settings, where it is kept by each kind of class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType
from typing import Any

LAYOUT = (MemberDescriptorType, GetSetDescriptorType)
"""How the instances of a class are laid out: slots, and the places of ``__dict__`` and ``__weakref__``."""

_NOT_GIVEN = frozenset({"_MISSING_TYPE", "PydanticUndefinedType", "_Nothing", "NothingType", "NoDefaultType"})

_OF_PYTHON = frozenset(
    f"__{name}__"
    for name in (
        *("module", "qualname", "name", "doc", "dict", "weakref", "slots", "annotations", "annotate", "annotate_func"),
        *("annotations_cache", "static_attributes", "firstlineno", "match_args", "hash", "new", "abstractmethods"),
        *(
            "orig_bases",
            "parameters",
            "type_params",
            "signature",
            "slotnames",
            "protocol_attrs",
            "non_callable_proto_members",
        ),
        "callable_proto_members_only",
        *("class_vars", "private_attributes", "set_name", "classcell", "dataclass_fields", "dataclass_params"),
        *("readonly_keys", "mutable_keys", "closed", "extra_items", "total"),
    )
)
_OF_LIBRARIES = ("__pydantic_", "__attrs_", "__struct_", "__msgspec_")

_OF_DATACLASS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_OF_DATACLASS_FIELD = ("type", "default", "default_factory", "init", "repr", "hash", "compare", "kw_only", "metadata")
_OF_ATTRS = (
    *("type", "default", "validator", "converter", "repr", "eq", "order", "hash", "init", "metadata", "kw_only"),
    "on_setattr",
)
_OF_STRUCT = (
    *("tag", "tag_field", "omit_defaults", "forbid_unknown_fields", "array_like", "frozen", "eq", "order"),
    "repr_omit_defaults",
)


def is_of_python(name: str) -> bool:
    """Tell whether a special attribute of a class is made by Python, or by a library whose fields are told here."""
    return name in _OF_PYTHON or name.startswith(_OF_LIBRARIES)


def fields_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class says of its fields, by names that no attribute has."""
    space = vars(cls)
    annotations = space.get("__annotations__")
    if type(annotations) is dict:
        yield from ((f"{name}:", each) for name, each in annotations.items())
    if "__slots__" in space:
        yield "slots", sorted(name for name, value in space.items() if isinstance(value, LAYOUT))
    if "__dataclass_fields__" in space:
        yield from _given("dataclass", space.get("__dataclass_params__"), _OF_DATACLASS)
        for name, field in space["__dataclass_fields__"].items():
            yield from _given(f"{name} field", field, _OF_DATACLASS_FIELD)
    for name, field in (space.get("__pydantic_fields__") or {}).items():
        settings = [each for each in type(field).__slots__ if not each.startswith("_")]
        yield from _given(f"{name} field", field, settings)
    for name, field in (space.get("__private_attributes__") or {}).items():
        yield from _given(f"{name} attribute", field, ("default", "default_factory"))
    yield from _pydantic_decorators(space.get("__pydantic_decorators__"))
    for field in space.get("__attrs_attrs__") or ():
        yield from _given(f"{field.name} field", field, _OF_ATTRS)
    if type(cls).__module__.partition(".")[0] == "msgspec":
        yield from _struct_fields(cls)


def _given(owner: str, settings: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a field; of those that were not given nothing."""
    for name in names:
        value = getattr(settings, name, None)
        if value is None or type(value).__name__ in _NOT_GIVEN or (type(value) is MappingProxyType and not value):
            continue
        yield f"{owner} {name}", value


def _pydantic_decorators(decorators: Any) -> Iterator[tuple[str, Any]]:
    """Yield what the decorators of a model's validators and serializers were given, such as names and mode."""
    for kind in sorted(getattr(type(decorators), "__dataclass_fields__", ())):
        for name, decorator in getattr(decorators, kind).items():
            settings = getattr(type(decorator.info), "__dataclass_fields__", ())
            yield from _given(f"{name} of {kind}", decorator.info, settings)


def _struct_fields(cls: Any) -> Iterator[tuple[str, Any]]:
    yield from _given("struct", cls.__struct_config__, _OF_STRUCT)
    yield "struct names", [*zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)]
    for i, default in enumerate(reversed(cls.__struct_defaults__), 1):
        if type(default).__name__ not in _NOT_GIVEN:
            yield f"struct default -{i}", getattr(default, "factory", default)
