"""What the demo does with one document, a Python source file: parse it, measure it, summarise it by extraction."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

VERSION = 1
"""Part of every cache key: raise it when this file changes, and what the old code found is not used any more."""

_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.With,
    ast.Assert,
    ast.match_case,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WORD = re.compile(r"[a-z]{3,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_COMMON = frozenset(
    _WORD.findall(
        """the and for that this are with from not can will but any all has have was been its which when then than they
        them you your may must should would could into such also only other each there these those use used using see
        new one two self none true false return returns returned value object method function class default given"""
    )
)
_MOST_SENTENCES = 250


@dataclass(frozen=True, slots=True)
class Document:
    """A source file and the digest of its content."""

    name: str
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one document.

    Attributes:
        lines: counts of lines by kind: code, comment, blank.
        complexity: cyclomatic complexity of each function, the highest first.
        summary: the sentences of its docstrings that say most about it, in their order.
    """

    name: str
    lines: dict[str, int]
    classes: int
    functions: int
    complexity: tuple[tuple[str, int], ...]
    imports: frozenset[str]
    terms: Counter[str]
    summary: tuple[str, ...]


def _tree_of(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except SystemError:  # Python 3.11 says so now and then where two threads parse at the same time
        return ast.parse(source)


def study(document: Document) -> Report:
    """Read one document and report on it."""
    with open(document.path, "rb") as file:
        source = file.read()
    try:
        tree = _tree_of(source)
        lines = _lines(source)
    except (SyntaxError, tokenize.TokenError):  # a template, or of another version of Python
        tree, lines = ast.Module([], []), {"unread": source.count(b"\n")}
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    sentences = list(_sentences(tree))
    return Report(
        name=document.name,
        lines=lines,
        classes=sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
        functions=len(functions),
        complexity=tuple(
            sorted(((f.name, _complexity(f)) for f in functions), key=lambda pair: (-pair[1], pair[0]))[:5]
        ),
        imports=frozenset(_imports(tree)),
        terms=Counter(dict(Counter(word for sentence in sentences for word in _words(sentence)).most_common(40))),
        summary=_summary(sentences),
    )


def _lines(source: bytes) -> dict[str, int]:
    code: set[int] = set()
    comments: set[int] = set()
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in layout:
            code.update(range(token.start[0], token.end[0] + 1))
    total = source.count(b"\n")
    only_comments = len(comments - code)
    return {"code": len(code), "comment": only_comments, "blank": max(0, total - len(code) - only_comments)}


def _complexity(function: ast.AST) -> int:
    """Return McCabe's number: one more than the places where a function branches."""
    branches = 1
    for node in ast.walk(function):
        if isinstance(node, _BRANCHES):
            branches += 1
        elif isinstance(node, ast.BoolOp):
            branches += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            branches += 1 + len(node.ifs)
    return branches


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _sentences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS)) and (docstring := ast.get_docstring(node)):
            for sentence in _SENTENCE_END.split(docstring):
                plain = " ".join(sentence.split())
                if 20 <= len(plain) <= 300 and plain[0].isalpha() and ">>>" not in plain:
                    yield plain


def _words(sentence: str) -> list[str]:
    return [word for word in _WORD.findall(sentence.lower()) if word not in _COMMON]


def _summary(sentences: list[str], length: int = 3) -> tuple[str, ...]:
    """Return the most central sentences, by the rank of each among those it shares words with.

    The ranking is TextRank (Mihalcea and Tarau, EMNLP 2004).
    """
    sentences = list(dict.fromkeys(sentences))[:_MOST_SENTENCES]
    words = [frozenset(_words(sentence)) for sentence in sentences]
    links: list[list[tuple[int, float]]] = [[] for _ in sentences]
    for (i, one), (j, other) in combinations(enumerate(words), 2):
        if len(one) > 1 and len(other) > 1 and (shared := len(one & other)):
            weight = shared / (math.log(len(one)) + math.log(len(other)))
            links[i].append((j, weight))
            links[j].append((i, weight))
    totals = [sum(weight for _, weight in linked) for linked in links]
    ranks = [1.0] * len(sentences)
    for _ in range(20):
        ranks = [0.15 + 0.85 * sum(ranks[j] * weight / totals[j] for j, weight in linked) for linked in links]
    best = sorted(range(len(sentences)), key=lambda i: (-ranks[i], i))[:length]
    return tuple(sentences[i] for i in sorted(best))
