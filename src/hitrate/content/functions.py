"""Functions and what can be called like one: by name and code, and by what they close over, hold and wrap.

The program's own code counts by what it says, that of installed packages by its name.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import Parameter, signature
from types import CodeType
from typing import Any

from hitrate.content.class_objects import is_own_class
from hitrate.content.classes import state_of
from hitrate.content.describing import EMPTY, Description, Options, Piece, Said, register, tree_of
from hitrate.content.installed import found_in, is_installed, is_installed_module, public_module, public_name
from hitrate.content.instances import attributes_of
from hitrate.content.rules import tree_for
from hitrate.content.sources import code_digest, count_of_name
from hitrate.modules import canonical_name
from hitrate.serde.classes import ancestry, attribute
from hitrate.serde.registry import UNKNOWN, Pack, Refused

_HEAP_TYPE = 1 << 9
_IN_C = (types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType)
# wrapt's classes, written in C, say that their module is "builtins", or "_wrappers" in later releases.
_WRAPT = tuple(
    (module, "_FunctionWrapperBase") for module in ("builtins", "_wrappers", "wrapt._wrappers", "wrapt.wrappers")
)
_OF_LAYOUT = ("__dict__", "__weakref__")
_CLOSES_OVER = "closes over"
_DEFAULT = "has as a default"
_HOLDS = "holds"
_BOUND = "is bound to"
_WRAPS = "wraps"


def name_of_function(function: Any) -> str:
    """Return the ``module:qualname`` of a function, or of what has these attributes."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = canonical_name(getattr(function, "__module__", None), getattr(function, "__globals__", None))
    return f"{public_module(module, name, function)}:{name}"


def described_code(code: CodeType, space: dict[str, Any]) -> str:
    """Return what of the code of a function counts: a digest of what it says, or its name in an installed package."""
    if not is_installed(code.co_filename):
        return code_digest(code, space)
    name = f"{public_name(str(space.get('__name__')))}:{code.co_qualname}"
    # Lambdas have no name, and some decorators make one of two functions of one name.
    if "<lambda>" in name or ("<locals>" in name and count_of_name(code, space) > 1):
        return f"{name}:{code_digest(code, space)}"
    return name


def _function(function: types.FunctionType, description: Description) -> Said:
    code, space = function.__code__, function.__globals__
    if _is_singledispatch(code):
        return _singledispatch(function)
    said = None if description.options.is_pinned else described_code(code, space)
    # A name that leads to a package's function is enough: a new release may add parameters and defaults.
    parts = () if _is_found_in_package(function, code) else _parts(function, code, description)
    return ["function", name_of_function(function), said], _called(function), parts


def _is_found_in_package(function: types.FunctionType, code: CodeType) -> bool:
    return (
        is_installed(code.co_filename)
        and is_installed_module(function.__module__)
        and found_in(function.__module__, function.__qualname__) is function
    )


def _strict(options: Options) -> Options:
    """Return options by which nothing is left out that a function needs to run."""
    return options._replace(is_lax=False) if options.is_lax else options


def _called(function: Any) -> str:
    return name_of_function(function).replace(":", ".")


def _parts(function: types.FunctionType, code: CodeType, description: Description) -> Iterator[Piece]:
    package = str(function.__globals__.get("__name__")).partition(".")[0] if is_installed(code.co_filename) else None
    strict = _strict(description.options)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            description.later.append((_called(function), name, cell, description.options))
            value = EMPTY
        yield Piece(name, _own_of(value, package), _CLOSES_OVER, strict)
    defaults = function.__defaults__ or ()
    positional = zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    lenient = description.options._replace(is_lenient=True)
    # The defaults of what an installed module defines are as its code is, and object() says no more than "not given".
    is_fixed = package is not None and "<locals>" not in code.co_qualname
    for name, value in (*positional, *sorted((function.__kwdefaults__ or {}).items())):
        options = lenient if is_fixed or type(value) is object else strict
        yield Piece(name, _own_of(value, package), _DEFAULT, options, is_argument=True)
    wrapped = vars(function).get("__wrapped__")
    if wrapped is not None:
        yield Piece("__wrapped__", wrapped, _WRAPS, strict)
    if package is None:
        yield from _own_attributes(function, description.options)


def _own_attributes(function: types.FunctionType, options: Options) -> Iterator[Piece]:
    """Yield the attributes of a function of the program, and the annotations, which many a library goes by."""
    for name, value in sorted(vars(function).items()):
        if name != "__wrapped__":
            yield Piece(f".{name}", value, "has as an attribute", options._replace(is_lax=True))
    for name, annotation in sorted(function.__annotations__.items()):
        if not isinstance(annotation, str):  # else the code says it
            yield Piece(f"{name}:", annotation, "is annotated by", options._replace(is_pinned=True, is_lenient=True))


def _is_singledispatch(code: CodeType) -> bool:
    return code.co_qualname == "singledispatch.<locals>.wrapper" and code.co_filename == functools.__file__


def _singledispatch(function: Any) -> Said:
    registry = sorted(function.registry.items(), key=lambda pair: f"{pair[0].__module__}:{pair[0].__qualname__}")
    parts = [Piece(each.__qualname__, [each, implementation], _HOLDS) for each, implementation in registry]
    return ["singledispatch", name_of_function(function)], _called(function), parts


def _method(method: types.MethodType, description: Description) -> Said:
    of = method.__self__
    name = "cls" if isinstance(of, type) else "self"
    strict = _strict(description.options)
    parts = [Piece("__func__", method.__func__, _WRAPS, strict), Piece(name, bound_object(of), _BOUND, strict)]
    return ["method"], _called(method), parts


def metadata(of: Any) -> Any:
    """Return what an annotation says beside the type (``Annotated``), by its attributes, if it has no other content."""
    cls = type(of)
    if not _is_plain(cls) or _is_keyable(cls):
        return of
    return _Attributes(of, None if is_own_class(cls) else cls.__module__.partition(".")[0])


def bound_object(of: Any) -> Any:
    """Return what a method is bound to, as a part of it: by its attributes, if it has no other content."""
    return _Attributes(of) if _is_plain(type(of)) and not _is_keyable(type(of)) else of


def _is_keyable(cls: type) -> bool:
    try:
        tree_for(cls)
    except Refused:
        return False
    return True


def _builtin(function: Any, description: Description) -> Said:
    of = function.__self__
    if of is None or isinstance(of, types.ModuleType):
        module = public_module(function.__module__ or getattr(of, "__name__", ""), function.__qualname__, function)
        return ["builtin", f"{module}:{function.__qualname__}"], function.__name__, ()
    return _builtin_method(function, description)


def _builtin_method(method: Any, description: Description) -> Said:
    return ["builtin method", method.__name__], method.__name__, [Piece("self", bound_object(method.__self__), _BOUND)]


def _member(member: Any, description: Description) -> Said:
    return ["member", member.__name__], member.__name__, [Piece("of", member.__objclass__, _BOUND)]


def _partial(obj: functools.partial[Any], description: Description) -> Said:
    strict = _strict(description.options)
    of = Piece("func", obj.func, _WRAPS, strict)
    names = _names_of_arguments(obj.func)
    names += [f"args[{i}]" for i in range(len(names), len(obj.args))]
    given = [*zip(names, obj.args, strict=False), *sorted(obj.keywords.items())]
    arguments = [Piece(name, value, _HOLDS, strict, is_argument=True) for name, value in given]
    others = [Piece("__dict__", vars(obj), _HOLDS)] if vars(obj) else []
    # The number tells what was given by position from what was given by name.
    head = ["partial", None if type(obj) is functools.partial else name_of_function(type(obj)), len(obj.args)]
    return head, "a partial object", [of, *arguments, *others]


def _names_of_arguments(function: Any) -> list[str]:
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        each.name for each in parameters if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]


def _wrapper(kind: str, *names: str) -> Callable[[Any, Description], Said]:
    """Return how an object is described that holds functions under these names."""

    def said(obj: Any, description: Description) -> Said:
        values = [(name, getattr(obj, name)) for name in names]
        parts = [Piece(name, value, _WRAPS) for name, value in values if value is not None]
        return [kind, [name for name, value in values if value is None]], f"a {kind}", parts

    return said


def _partialmethod(obj: Any, description: Description) -> Said:
    parts = [
        Piece("func", obj.func, _WRAPS),
        Piece("args", obj.args, _HOLDS),
        Piece("keywords", dict(obj.keywords), _HOLDS),
    ]
    return ["partialmethod"], "a partial method", parts


def _getter(obj: Any, description: Description) -> Said:
    reduced: Any = obj.__reduce__()  # of a class of Python's own, that cannot be derived from
    parts = [Piece("func", reduced[0], _HOLDS), Piece("args", reduced[1], _HOLDS)]
    return ["operator", type(obj).__name__], f"an operator.{type(obj).__name__}", parts


@dataclass(slots=True, eq=False)
class _Attributes:
    """An object that counts by its class and attributes, as a part of what can be called.

    Attributes:
        obj: of a class written in Python that inherits from none of the interpreter's.
        package: of what the code of an installed package holds of its own, such as a decorator's settings, its name;
            the name stands for what has no content. Else None.
    """

    obj: Any
    package: str | None = None


def _said_attributes(of: _Attributes, description: Description) -> Said:
    cls = type(of.obj)
    options: Options | None
    if of.package is None:
        head, title = ["object"], name_of_function(cls).replace(":", ".")
        options = _strict(description.options) if is_own_class(cls) else None
    else:
        head, title = ["machinery"], cls.__qualname__
        options = description.options._replace(is_lax=True)
    parts = [Piece("__class__", cls, "is of the class")]
    for name, value in sorted(attributes_of(of.obj).items()):
        parts.append(Piece(name, _own_of(value, of.package), _HOLDS, options))
    return head, f"the {title} object", parts


def _own_of(value: Any, package: str | None) -> Any:
    """Return what an installed package's code holds, marked as its own if it is of the package too."""
    if isinstance(value, types.MethodType) and _is_of(value.__self__, package):
        return [value.__func__, _Attributes(value.__self__, package)]
    return _Attributes(value, package) if _is_of(value, package) else value


def _is_of(value: Any, package: str | None) -> bool:
    cls = type(value)
    return package is not None and cls.__module__.partition(".")[0] == package and _is_plain(cls)


def _is_plain(cls: type) -> bool:
    return all(base.__flags__ & _HEAP_TYPE and not _is_of_extension(base) for base in ancestry(cls)[:-1])


@functools.lru_cache(1024)
def _is_of_extension(cls: type) -> bool:
    """Tell whether a class is written in C or the like, so that its objects may hold what is no attribute."""
    if cls is typing.Generic:
        return False
    return any(
        getattr(member, "__objclass__", None) is cls and name not in _OF_LAYOUT
        for name, member in vars(cls).items()
        if isinstance(member, _IN_C)
    ) or isinstance(vars(cls).get("__new__"), types.BuiltinFunctionType)


def rule_for(cls: type) -> Callable[[Any, Pack], Any] | None:
    """Return how the instances of a class without another content are written: what can be called, and descriptors."""
    if issubclass(cls, types.BuiltinFunctionType):
        return tree_of(_builtin)
    if issubclass(cls, functools.partial):
        return tree_of(_partial)
    if any((base.__module__, base.__qualname__) in _WRAPT for base in ancestry(cls)):
        return tree_of(_wrapper("wrapt", "__wrapped__", "_self_wrapper"))
    if attribute(cls, "__call__") is None and attribute(cls, "__get__") is None:
        return tree_of(_local_dataclass) if attribute(cls, "__dataclass_fields__") is not None else None
    return tree_of(_object) if _is_plain(cls) else tree_of(_of_extension)


def with_class(cls: type, tree: Callable[[Any, Pack], Any]) -> Callable[[Any, Pack], Any]:
    """Return how the instances of a class with such a content are written: if they can be called, with their class."""
    if attribute(cls, "__call__") is None and attribute(cls, "invoke") is None:
        return tree
    return lambda obj, pack: [*tree(obj, pack), cls] if is_own_class(cls) else tree(obj, pack)


def _object(obj: Any, description: Description) -> Said:
    return _said_attributes(_Attributes(obj), description)


def _local_dataclass(obj: Any, description: Description) -> Said:
    """A dataclass without a name to be found by: as a part only, for an argument is told by the name of its class."""
    if description.is_whole(obj):
        state_of(type(obj))  # raises if the class cannot be found by its name, and says why
    return _object(obj, description)


def _of_extension(obj: Any, description: Description) -> Said:
    """What can be called, is not written in Python, and is found under its name, as ``numpy.add``."""
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    module = getattr(obj, "__module__", None) or type(obj).__module__
    if type(name) is str and type(module) is str:
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is obj:
            return ["extension", f"{module}:{name}"], name, ()
    raise Refused(UNKNOWN)


register(types.FunctionType, _function)
register(types.MethodType, _method)
register(types.BuiltinFunctionType, _builtin)
register(types.MethodWrapperType, _builtin_method)
for _type in (types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType):
    register(_type, _member)
register(functools.partialmethod, _partialmethod)
register(type(functools.lru_cache(len)), _wrapper("lru_cache", "__wrapped__"))
register(functools.cached_property, _wrapper("cached property", "func"))
register(functools.singledispatchmethod, _wrapper("singledispatchmethod", "dispatcher"))
register(property, _wrapper("property", "fget", "fset", "fdel"))
register(classmethod, _wrapper("classmethod", "__func__"))
register(staticmethod, _wrapper("staticmethod", "__func__"))
for _getters in (operator.itemgetter, operator.attrgetter, operator.methodcaller):
    register(_getters, _getter)
register(_Attributes, _said_attributes)
