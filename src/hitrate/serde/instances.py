"""Instances of user classes, restored by the name of their class and recognised as unchanged.

An instance is stored as ``[mark, *state]``, the mark being ``module:qualname#fingerprint``. It is looked up anew on
every load, since a module or class may have been replaced; only the form of a class, keyed by the class itself, is
remembered.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from hitrate.errors import DecodeError
from hitrate.modules import loaded_name, module_dict
from hitrate.serde.forms import Form
from hitrate.serde.references import find_class, reference_to
from hitrate.serde.registry import FIELDS, Encode, Pack, Refused, form_of

CLASS = 1

Place = tuple[str, types.ModuleType, Callable[[str], Any], str]
KnownClass = tuple[str, types.ModuleType, Callable[[str], Any], str, type, Callable[[list[Any]], Any]]

_NOWHERE: Place = "", types.ModuleType(""), lambda name: None, ""
"""The place of a class that is looked for each time."""


class Classes:
    """The user classes that one serializer stores and restores: only those that are allowed, all of them for None."""

    def __init__(self, allowed: frozenset[type] | None) -> None:
        self._allowed = allowed
        self._forms: dict[type, Form] = {}
        self.known: dict[str, KnownClass] = {}
        """By mark, where the class was last found and how it is restored; good only while it is still there."""

    def encoder(self, cls: type) -> Encode:
        """Return the encoder of a class."""
        form = self._form(cls)
        dump, mark = form.dump, form.mark
        module_name, module, get_class, name = _place_of(form) or _NOWHERE
        get_module = sys.modules.get

        def encode(obj: Any, pack: Pack) -> bytes:
            if get_module(module_name) is not module or get_class(name) is not cls:
                reference_to(cls)
            return pack(dump(obj, mark), FIELDS)

        return encode

    def restore(self, state: Any) -> Any:
        """Return the instance of a decoded state, whose class is looked for."""
        mark = state[0]
        if type(mark) is not str:
            raise DecodeError("a stored instance does not name its class")
        ref = mark.rpartition("#")[0]
        cls = find_class(ref)
        if cls is None:
            raise DecodeError(f"no imported module has the class {ref!r}")
        try:
            form = self._form(cls)
        except Refused as exc:
            raise DecodeError(f"the class {ref!r} cannot be restored: {exc}") from exc
        if form.mark != mark:
            raise DecodeError(f"the fields of {ref!r} are not the stored ones any more")
        place = _place_of(form)
        if place is not None:
            self.known[mark] = (*place, cls, form.restore)
        return form.restore(state)

    def _form(self, cls: type) -> Form:
        form = self._forms.get(cls)
        if form is None:
            form = form_of(cls)
            if self._allowed is not None and cls not in self._allowed and not form.open:
                raise Refused("it is not among the types that this serializer was given")
            self._forms[cls] = form
        return form


def _place_of(form: Form) -> Place | None:
    """Return where a class is found, None if inside another class or in no module's dict."""
    module_name, _, name = form.mark.rpartition("#")[0].partition(":")
    if "." in name or "[" in name:
        return None
    module_name = loaded_name(module_name)
    module = sys.modules[module_name]
    return module_name, module, module_dict(module).get, name
