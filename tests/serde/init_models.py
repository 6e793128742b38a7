"""Classes whose attributes are declared nowhere: their own code sets them, always or now and then."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from typing import Any

import attrs


class Coded(Exception):
    def __init__(self, code: Any) -> None:
        self.code = code


class CodedAndMore(Coded):
    def __init__(self, code: Any, more: Any) -> None:
        super().__init__(code)
        if more:
            self.more = more
        else:
            self.more = None


class CodedWithAnyArguments(Coded):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)


class CodedByNameWithAnyArguments(Coded):
    def __init__(self, *args: Any, **options: Any) -> None:
        Coded.__init__(self, *args, **options)


class CodedWithACallback(Exception):
    def __init__(self, code: Any) -> None:
        self.code = code
        lambda_of(lambda: self._fill)

    def _fill(self) -> None:
        self.filled = True


class CodedByName(Coded):
    def __init__(self, code: Any) -> None:
        Coded.__init__(self, code)
        self.first = self.second = code


class CodedThroughAProperty(Exception):
    def __init__(self, code: Any) -> None:
        self.code = code

    @property
    def code(self) -> Any:
        return self._code

    @code.setter
    def code(self, value: Any) -> None:
        self._code = value


class CodedInAMethod(Exception):
    def __init__(self, code: Any) -> None:
        self._fill(code)
        self.text = lambda_of(lambda: self.code)

    def _fill(self, code: Any) -> None:
        for _ in range(2):
            pass
        self.code = code


def lambda_of(function: Any) -> str:
    return str(function())


class WordIn(str):
    def __new__(cls, text: str, language: str) -> WordIn:
        made = super().__new__(cls, text)
        made.language = language
        return made

    language: str


class WordInAndMore(WordIn):
    def __init__(self, text: str, language: str) -> None:
        self.size = len(text)


class RowsOf(list[Any]):
    def __init__(self, rows: Any, title: str) -> None:
        super().__init__(rows)
        self.title = title


class WrapperOf(UserDict[Any, Any]):
    def __init__(self, data: Any, limit: int) -> None:
        super().__init__(data)
        self.limit = limit


@dataclass
class Sum:
    a: int
    b: int

    def __post_init__(self) -> None:
        self.total = self.a + self.b


@dataclass
class Coded2(Exception):
    code: Any

    def __post_init__(self) -> None:
        self.text = str(self.code)


@attrs.define(slots=False)
class SumOfAttrs:
    a: int

    def __attrs_post_init__(self) -> None:
        self.total = self.a * 2


class CodedInABranch(Exception):
    def __init__(self, code: Any) -> None:
        if code:
            self.code = code


class CodedInATry(Exception):
    def __init__(self, code: Any) -> None:
        try:
            self.number = int(code)
        except ValueError:
            self.text = code


class WithoutItsBase(Coded):
    def __init__(self, code: Any) -> None:
        self.other = code


class CodedAndClosed(Exception):
    def __init__(self, code: Any) -> None:
        self.code = code
        self.close()

    def close(self) -> None:
        del self.code


class CodedByDict(Exception):
    def __init__(self, code: Any) -> None:
        self.__dict__.update(code=code)


class CodedByItself(Exception):
    def __init__(self, code: Any) -> None:
        self.code = code
        self = Coded(code)
        self.other = code


class NotThere(KeyError, AttributeError):
    pass


class NoSuchFile(ValueError, OSError):
    pass


class NoSuchEntry(NoSuchFile, KeyError):
    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size


class BadModule(LookupError, ImportError):
    pass


class Stopped(StopIteration, ValueError):
    pass


class BadGroup(ExceptionGroup[Any], ValueError):
    pass


class CodedAndReset(Exception):
    def __init__(self, code: Any) -> None:
        self._code = self.text = code

    @property
    def code(self) -> Any:
        return self._code

    @code.deleter
    def code(self) -> None:
        del self._code

    @classmethod
    def reset(cls, error: Any) -> Any:
        del error.text
        return error


def class_of_many_calls(layers: int) -> Any:
    """Return a class whose methods call each other along 2 ** layers ways."""
    lines = ["class ManyCalls(Exception):", "    def __init__(self): self.a0(); self.b0()"]
    for i in range(layers):
        lines += [f"    def {name}{i}(self): self.a{i + 1}(); self.b{i + 1}()" for name in "ab"]
    lines += [f"    def {name}{layers}(self): self.{name} = 1" for name in "ab"]
    space: dict[str, Any] = {"__name__": __name__}
    exec("\n".join(lines), space)
    return space["ManyCalls"]


ManyCalls = class_of_many_calls(40)
