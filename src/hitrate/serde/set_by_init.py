"""The attributes that instances of a class always have, for its own ``__init__`` or ``__new__`` sets them.

Most classes declare their attributes nowhere. Which of them are set on every way through the code is read out of its
bytecode, and nothing of it is run: the usual analysis of definite assignment, over the instructions of a function. What
cannot be told, such as ``setattr`` or an attribute that is set in a branch, counts as not set.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from hitrate.serde.classes import ancestry, attribute

_RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})
_GOES_ELSEWHERE = frozenset({"RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_DELETE_ATTR = dis.opmap["DELETE_ATTR"]
_MAKERS = ("__new__", "__init__")
_NO_FUNCTION = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_globals_of: Callable[[Any], dict[str, Any]] = vars(FunctionType)["__globals__"].__get__


class _MethodCall(NamedTuple):
    """A call of a function that may set attributes of the same object, as one of the things that are always done."""

    home: type
    function: FunctionType
    is_new: bool


Done = frozenset[str | _MethodCall]


def always_set(cls: type) -> list[str]:
    """Return the names of the attributes that every instance has which was made as its class makes them.

    A name that the class itself has, too, is left out: it is seen where an instance has none. So is one that any of
    its methods deletes.
    """
    if type(attribute(cls, "__setattr__")) is FunctionType:
        return []
    makers = [*_MAKERS]
    if type(attribute(cls, "__dataclass_fields__")) is dict:  # its generated __init__ calls __post_init__
        makers.append("__post_init__")
    calls = [call for name in makers if (call := _method(ancestry(cls), name)) is not None]
    names = _set_by(cls, calls) - _deleted_by(cls)
    return sorted(name for name in names if attribute(cls, name) is None)


def _method(among: tuple[type, ...], name: str) -> _MethodCall | None:
    """Return the call of a method of the first of some classes that has it, if it is a function of Python."""
    for each in among:
        if name in vars(each):
            member, is_new = vars(each)[name], name == "__new__"
            if is_new and type(member) is staticmethod:  # as a class keeps it
                member = member.__func__
            return _MethodCall(each, member, is_new) if type(member) is FunctionType else None
    return None


def _set_by(cls: type, calls: list[_MethodCall]) -> set[str]:
    """Return the names that functions always set on their object, themselves or by what they call."""
    names: set[str] = set()
    waiting, seen = [*calls], {*calls}  # each method is looked at once, however often methods call each other
    while waiting:
        for done in _always_done(cls, waiting.pop()):
            if isinstance(done, str):
                names.add(done)
            elif done not in seen:
                seen.add(done)
                waiting.append(done)
    return names


def _always_done(cls: type, call: _MethodCall) -> Done:
    """Return what is done on every way through a function to its end."""
    code = call.function.__code__
    steps, at_offset = _steps_of(code)
    this = _returned(steps) if call.is_new else (code.co_varnames[0] if code.co_argcount else None)
    if this is None or sum(_stored(step).count(this) for step in steps) != call.is_new or code.co_flags & _NO_FUNCTION:
        return frozenset()
    does = [_done_by(cls, call, steps, at, this) for at in range(len(steps))]
    entries: Iterable[Any] = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    handlers = [(each.start, each.end, at_offset[each.target]) for each in entries]

    before: dict[int, Done] = {0: frozenset()}
    ends: dict[int, Done] = {}
    waiting = [0]
    while waiting:
        at = waiting.pop()
        step, done = steps[at], before[at]
        after = does[at](done)
        further = [(target, done & after) for start, end, target in handlers if start <= step.offset < end]
        if step.opcode in _JUMPS:
            further.append((at_offset[step.argval], after))
        if step.opname in _RETURNS:
            ends[at] = after
        elif step.opname not in _GOES_ELSEWHERE:
            further.append((at + 1, after))
        for target, known in further:
            both = known & before.get(target, known)
            if target not in before or both != before[target]:
                before[target] = both
                waiting.append(target)
    return frozenset.intersection(*ends.values()) if ends else frozenset()


def _steps_of(code: CodeType) -> tuple[list[dis.Instruction], dict[int, int]]:
    """Return the instructions of a function, without those that only lengthen an argument, and their places."""
    steps: list[dis.Instruction] = []
    at_offset: dict[int, int] = {}
    for step in dis.get_instructions(code):
        at_offset[step.offset] = len(steps)
        if step.opname != "EXTENDED_ARG":
            steps.append(step)
    return steps, at_offset


def _done_by(cls: type, call: _MethodCall, steps: list[dis.Instruction], at: int, this: str) -> Callable[[Done], Done]:
    """Return what an instruction makes of what was done before it."""
    step = steps[at]
    if step.opname in ("STORE_ATTR", "DELETE_ATTR") and _loaded(steps[at - 1]) == this:
        name = {step.argval}
        if step.opname == "DELETE_ATTR":
            return lambda done: done - name
        member = attribute(cls, step.argval)
        setter = member.fset if type(member) is property else None
        set_here = name if type(setter) is not FunctionType else {_MethodCall(call.home, setter, is_new=False)}
        return lambda done: done | set_here
    called = _called_at(cls, call, steps, at, this)
    return (lambda done: done) if called is None else (lambda done: done | {called})


def _called_at(cls: type, call: _MethodCall, steps: list[dis.Instruction], at: int, this: str) -> _MethodCall | None:
    """Return the method of the same object that is called: through super, of itself, or of a base class by name."""
    step, before = steps[at], steps[at - 1]
    mro, name = ancestry(cls), step.argval
    if not _gets_method(step):
        return None
    if step.opname == "LOAD_SUPER_ATTR" or _is_of_super(steps, at):
        return _method(mro[mro.index(call.home) + 1 :], name)
    if _loaded(before) == this:
        return _method(mro, name)
    if before.opname == "LOAD_GLOBAL" and name in _MAKERS:
        base = _globals_of(call.function).get(before.argval)
        return _method(ancestry(base), name) if isinstance(base, type) and base in mro else None
    return None


def _gets_method(step: dis.Instruction) -> bool:
    """Tell whether an instruction gets a method to call it.

    One that is called with ``*args`` is got as any attribute is; it is called for sure only if it makes instances.
    """
    if step.opname in ("LOAD_ATTR", "LOAD_SUPER_ATTR"):
        return step.argval in _MAKERS or (sys.version_info >= (3, 12) and bool((step.arg or 0) & 1))
    return step.opname == "LOAD_METHOD"


def _is_of_super(steps: list[dis.Instruction], at: int) -> bool:
    """Tell whether the method that an instruction gets is one of ``super()``, before Python 3.12."""
    before = [(each.opname, each.argval) for each in steps[max(at - 3, 0) : at]]
    return before == [("LOAD_GLOBAL", "super"), ("PRECALL", 0), ("CALL", 0)]


def _loaded(step: dis.Instruction) -> str | None:
    """Return the variable that an instruction leaves on top of the stack."""
    if step.opname == "LOAD_DEREF" or step.opname.endswith(("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK")):
        name: str = step.argval[-1] if type(step.argval) is tuple else step.argval
        return name
    return None


def _stored(step: dis.Instruction) -> tuple[str, ...]:
    """Return the variables that an instruction sets."""
    if step.opname in ("STORE_FAST", "STORE_DEREF"):
        return (step.argval,)
    if step.opname.startswith("STORE_FAST_"):  # two instructions in one
        stored: tuple[str, ...] = step.argval if step.opname.endswith("STORE_FAST") else step.argval[:1]
        return stored
    return ()


def _returned(steps: list[dis.Instruction]) -> str | None:
    """Return the variable that a ``__new__`` returns at each of its ends, None if there is no such."""
    ends = [at for at, step in enumerate(steps) if step.opname in _RETURNS]
    returned = {_loaded(steps[at - 1]) if steps[at].opname == "RETURN_VALUE" else None for at in ends}
    return returned.pop() if len(returned) == 1 else None


def _deleted_by(cls: type) -> set[str]:
    """Return the names of the attributes that the methods of a class delete."""
    return {
        step.argval
        for each in ancestry(cls)
        for member in vars(each).values()
        for function in _functions_of(member)
        if _DELETE_ATTR in function.__code__.co_code[::2]
        for step in dis.get_instructions(function)
        if step.opname == "DELETE_ATTR"
    }


def _functions_of(member: Any) -> list[FunctionType]:
    """Return the functions that a member of a class is made of: itself, or those of a property or a class method."""
    parts = [member]
    if type(member) is property:
        parts = [member.fget, member.fset, member.fdel]
    elif type(member) in (classmethod, staticmethod):
        parts = [member.__func__]
    return [each for each in parts if type(each) is FunctionType]
