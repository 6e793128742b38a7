"""Strings that caches stumble over, and full keys that careless encodings make one."""

from __future__ import annotations

from hitrate.base import FullKey

STRINGS: dict[str, list[str]] = {
    "the empty string": [""],
    "white space": [" ", "  ", "\t", "\n", "\r\n", " a", "a "],
    "separators": [",", ":", "/", "|", "%", "%2C", "a,b", "a:b", "a/b", ",a", "a,", "::", ".", "..", "-", ";", "\x1f"],
    "glob and pattern characters": ["*", "?", "[", "]", "[a-z]", "_", "%_", "\\", "\\*", "^", "$", "a*", "{a}"],
    "quotes and SQL": ["'", '"', "`", "'; DROP TABLE cache; --", "\\'"],
    "NUL and control characters": ["\x00", "a\x00", "\x00a", "a\x00b", "\x01", "\x7f"],
    "any Unicode": ["é", "e\u0301", "ß", "ss", "İ", "中文", "😀", "👩‍👩‍👧", "\ufeff", "\uffff", "\ufffd", "\U0010ffff"],
    "lone surrogates": ["\ud800", "\udfff", "a\udc80b", "\udc80\ud800", "\ud83d\ude00"],
    "100,000 characters": ["k" * 100_000, "k" * 99_999 + "l", "é" * 100_000],
}
"""Kinds of strings; every one is legal as a key and as a part of a namespace."""

LOOKALIKES: dict[str, list[FullKey]] = {
    "parts joined by a separator": [
        *(((f"a{joint}b", "c"), "d") for joint in (",", ":", "/", "|", ".", "-", "\x00", "\x1f", "%2C", "', '")),
        (("a", "b", "c"), "d"), (("a", "b"), "c"), (("a",), "b"), (("a", "b,c"), "d"), (("a", "b"), "c,d"),
    ],
    "empty parts": [
        ((), ""), ((), "a"), (("",), ""), (("",), "a"), (("", ""), ""), (("", ""), "a"),
        (("a",), ""), (("a", ""), ""), (("", "a"), ""), (("a", "", ""), ""), (("a",), "a"),
    ],
    "a boundary that moves": [
        (("ab",), "c"), (("a",), "bc"), (("a", "b"), "c"), (("abc",), ""), ((), "abc"), (("", "ab"), "c"),
        (("a,",), "c"), (("a", ","), "c"), (("a", "1"), "c"), (("a1",), "c"), (("1", "a"), "c"), (("1:a",), "c"),
        (("\\",), ",c"),
    ],
    "case, accents and white space": [
        (("a",), "k"), (("A",), "k"), (("a",), "K"), (("é",), "k"), (("e\u0301",), "k"), (("e",), "k"), (("a ",), "k"),
        ((" a",), "k"), (("a",), "k "), (("a",), "k\n"), (("ﬁ",), "k"), (("fi",), "k"), (("a\u200b",), "k"),
    ],
    "surrogates and their replacements": [
        (("\ud800",), "k"), (("\ud801",), "k"), (("?",), "k"), (("\ufffd",), "k"), (("\\ud800",), "k"), (("",), "k"),
        (("\ud83d\ude00",), "k"), (("😀",), "k"),
    ],
    "NUL at an end": [(("a",), "k"), (("a\x00",), "k"), (("\x00a",), "k"), (("a",), "k\x00"), (("a", "\x00"), "k")],
    "long common beginnings": [(("n" * 5000 + end,), "k" * 5000 + tail) for end in "ab" for tail in "ab"],
    "text that looks like a number or a literal": [
        (("1",), "1"), (("01",), "1"), (("1.0",), "1"), (("1",), "01"), (("None",), "1"), (("null",), "1"),
        (("()",), "1"), (("('a',)",), "1"), (("a",), "1"), (("b'a'",), "1"),
    ],
}  # fmt: skip
"""Groups of full keys that are all different, and that some encoding of namespaces takes for one another."""
