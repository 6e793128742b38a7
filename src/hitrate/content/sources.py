"""What code says: the digest of a function's source, comments, docstrings, layout and decorators aside.

The text is looked up where the code says it is, and believed only if it compiles to the very code that runs: a file may
have been edited since, and a cell of a notebook run again. Where there is no such text the byte code is taken, which is
another one in each version of Python.
"""

from __future__ import annotations
import __future__

import ast
import dis
import linecache
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from types import CodeType
from typing import Any

from hitrate.keys import encode_text

_DIGEST_SIZE = 16
_KNOWN_CODES = 4096
_KNOWN_TEXTS = 32
_FUTURES = 0
for _name in __future__.all_feature_names:
    _FUTURES |= getattr(__future__, _name).compiler_flag

_digests: dict[int, tuple[CodeType, str]] = {}
"""By the id of a code object, which is held so that no other gets its id."""


def code_digest(code: CodeType, space: Mapping[str, Any]) -> str:
    """Return a digest of what the code of a function says, whose globals may know a loader of the source."""
    known = _digests.get(id(code))
    if known is None:
        if len(_digests) >= _KNOWN_CODES:
            _digests.clear()
        node = _find_node(code, space)
        digest = bytecode_digest(code) if node is None else _hex(b"".join(_definition(node)))
        known = _digests[id(code)] = (code, digest)
    return known[1]


def count_of_name(code: CodeType, space: Mapping[str, Any]) -> int:
    """Return how many functions of a file have the qualified name of one; 1 if its text is not there."""
    text = _text_of(code, space)
    return 1 if text is None else sum(each.co_qualname == code.co_qualname for each in text.codes)


def bytecode_digest(code: CodeType) -> str:
    """Return a digest of what the interpreter runs, without names of files and numbers of lines."""
    return _hex(encode_text(repr(_instructions(code))))


def _hex(data: bytes) -> str:
    return blake2b(data, digest_size=_DIGEST_SIZE).hexdigest()


def _instructions(code: CodeType) -> list[Any]:
    head: list[Any] = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & 0x2AC]
    head += [code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], code.co_exceptiontable]
    # An instruction names the constants that it takes; the docstring is one that none takes.
    return head + [(each.opname, _constant(each.argval)) for each in dis.get_instructions(code)]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _instructions(value)
    if isinstance(value, frozenset):
        return ["frozenset", sorted(map(repr, value))]
    return repr(value) if type(value) is not int else hex(value)


class _Text:
    """The source of one file or cell, compiled to be compared with what runs.

    Attributes:
        codes: every code object in it.
        exact: those by themselves, line numbers included.
    """

    def __init__(self, source: str, file: str, flags: int) -> None:
        self.source = source
        self.flags = flags
        self.codes: list[CodeType] = []
        self.exact: dict[CodeType, CodeType] = {}
        self._loose: dict[CodeType, list[CodeType]] | None = None
        self._nodes: dict[tuple[str, int], ast.AST] = {}
        self._lambdas: list[ast.Lambda] = []
        try:
            tree = ast.parse(source, file)
            self.codes = [*_codes_in(compile(source, file, "exec", flags, dont_inherit=True))]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        self.exact = {code: code for code in self.codes}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.decorator_list[0] if node.decorator_list else node
                self._nodes[node.name, first.lineno] = node
            elif isinstance(node, ast.Lambda):
                self._lambdas.append(node)

    def twins(self, code: CodeType) -> list[CodeType]:
        """Return the code objects of the text that are the one that runs, or differ by their lines alone."""
        if code in self.exact:
            return [self.exact[code]]
        if self._loose is None:  # without the numbers of lines: the file may have been edited elsewhere
            self._loose = {}
            for each in self.codes:
                self._loose.setdefault(_without_lines(each), []).append(each)
        return self._loose.get(_without_lines(code), [])

    def node(self, code: CodeType) -> ast.AST | None:
        """Return the definition of one of the text's own code objects."""
        if code.co_name != "<lambda>":
            return self._nodes.get((code.co_name, code.co_firstlineno))
        # Several definitions may begin on one line: take the innermost one whose body holds all positions of the code.
        places = [place for place in code.co_positions() if None not in place and place[3] != 0]
        if not places:
            return None
        begin = min((line, column) for line, _, column, _ in places)
        end = max((line, column) for _, line, _, column in places)
        around = [each for each in self._lambdas if _begin(each.body) <= begin and end <= _end(each.body)]
        return max(around, key=lambda each: _begin(each.body), default=None)


_texts: OrderedDict[str, _Text] = OrderedDict()


def _find_node(code: CodeType, space: Mapping[str, Any]) -> ast.AST | None:
    text = _text_of(code, space)
    if text is None:
        return None
    nodes = [text.node(each) for each in text.twins(code)]
    if not nodes or None in nodes:
        return None
    said = {b"".join(_definition(node)) for node in nodes if node is not None}
    return nodes[0] if len(said) == 1 else None


def _text_of(code: CodeType, space: Mapping[str, Any]) -> _Text | None:
    file = code.co_filename
    linecache.checkcache(file)
    source = "".join(linecache.getlines(file, dict(space) if "__loader__" in space else None))
    if not source:
        return None
    flags = code.co_flags & _FUTURES
    text = _texts.get(file)
    if text is None or text.source != source or text.flags != flags:
        text = _texts[file] = _Text(source, file, flags)
        if len(_texts) > _KNOWN_TEXTS:
            _texts.popitem(last=False)
    return text


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes_in(each)


def _without_lines(code: CodeType) -> CodeType:
    constants = tuple(_without_lines(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_firstlineno=1, co_linetable=b"", co_filename="", co_consts=constants)


def _begin(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params"})
_WITH_DOCSTRING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _definition(node: ast.AST) -> Iterator[bytes]:
    """Write a function in a form that every Python makes of it: what is empty is left out, and so are positions."""
    yield from _written(node, {"decorator_list", "name"})


def _written(node: ast.AST, left_out: set[str] | frozenset[str] = frozenset()) -> Iterator[bytes]:
    yield b"(" + type(node).__name__.encode()
    for name in sorted(node._fields):
        value = getattr(node, name, None)
        if value is None or name in _LEFT_OUT or name in left_out:
            if isinstance(node, ast.Constant) and name == "value":
                yield b" None"
            continue
        if name == "body" and isinstance(node, _WITH_DOCSTRING):
            value = _without_docstring(value)
        elif name == "values" and isinstance(node, ast.JoinedStr):
            value = _joined(value)
        if value == [] and name != "value":
            continue
        yield b" " + name.encode() + b"="
        yield from _value(value)
    yield b")"


def _value(value: Any) -> Iterator[bytes]:
    if isinstance(value, ast.AST):
        yield from _written(value)
    elif isinstance(value, list):
        yield b"["
        for each in value:
            yield from _value(each)
            yield b","
        yield b"]"
    else:
        # A str as it is: which characters its repr escapes is another matter in each version of Python.
        text = value if type(value) is str else hex(value) if type(value) is int else repr(value)
        yield encode_text(f"{type(value).__name__}:{len(text)}:{text}")


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
        return body[1:] or [ast.Pass()]
    return body


def _joined(parts: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string with texts that follow one another in one, as some versions of Python do."""
    made: list[ast.expr] = []
    for each in parts:
        if isinstance(each, ast.Constant) and type(each.value) is str:
            if not each.value:
                continue
            if made and isinstance(made[-1], ast.Constant):
                each = ast.Constant(made.pop().value + each.value)  # type: ignore[attr-defined]
        made.append(each)
    return made
