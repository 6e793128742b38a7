"""LangChain's models, tools, prompts and chains: by class and settings, without secrets and what connects them.

What their authors leave out of a model that is written down (clients, callbacks, caches: ``exclude=True``) does not
count, nor do secrets, nor a setting that is as if it had not been given: a field that another release adds changes no
key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.load.serializable import Serializable
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from pydantic import BaseModel, SecretBytes, SecretStr

from hitrate.content.installed import is_installed_module
from hitrate.content.instances import attributes_of, class_mark
from hitrate.serde.classes import name_of_class

_OF_THE_RUN = frozenset({"callbacks", "callback_manager", "tags", "metadata", "run_id", "run_name", "max_concurrency"})
_SECRETS = (SecretStr, SecretBytes)


def component_state(cls: type) -> Callable[[Any, Any], list[Any]] | None:
    """Return the function that returns the content of a component of LangChain; None if the class is of none.

    Documents and messages are no components but data, of which everything counts.
    """
    mark: Any = class_mark(name_of_class(cls))
    if issubclass(cls, BaseModel):
        if not issubclass(cls, (Runnable, Embeddings)) and not _is_part(cls):
            return None
        names = [name for name, field in cls.__pydantic_fields__.items() if not field.exclude]
        defaults = {name: field.default for name, field in cls.__pydantic_fields__.items()}

        def state(obj: Any, pack: Any) -> list[Any]:
            values = obj.__dict__
            secret = {*obj.lc_secrets} if isinstance(obj, Serializable) else set()
            given = {
                name: _setting(name, values[name])
                for name in names
                if name in values and name not in secret and not _is_not_given(values[name], defaults[name])
            }
            private = None if is_installed_module(cls.__module__) else obj.__pydantic_private__
            return [mark, given, obj.__pydantic_extra__ or None, private or None]

        return state
    if issubclass(cls, (RunnableLambda, RunnableGenerator)) or name_of_class(cls) == _CONFIGURABLE:

        def state_of_plain(obj: Any, pack: Any) -> list[Any]:
            given = {name: _setting(name, value) for name, value in attributes_of(obj).items() if name in _ATTRIBUTES}
            return [mark, {name: value for name, value in given.items() if not _is_not_given(value, None)}]

        return state_of_plain
    return None


_CONFIGURABLE = "langchain.chat_models.base:_ConfigurableModel"
_ATTRIBUTES = frozenset(
    {"func", "afunc", "_transform", "_atransform"}
    | {"_default_config", "_configurable_fields", "_config_prefix", "_queued_declarative_operations"}
)


def _is_part(cls: type) -> bool:
    """Tell whether a class is of the parts of which components are made, such as the messages of a prompt."""
    from langchain_core.prompts.base import BasePromptTemplate
    from langchain_core.prompts.message import BaseMessagePromptTemplate

    return issubclass(cls, (BasePromptTemplate, BaseMessagePromptTemplate))


def _setting(name: str, value: Any) -> Any:
    if type(value).__name__ == "list_iterator":
        # What a model for tests is going to say.
        return ["iterator", value.__reduce__()[1:]]
    if name == "config" and type(value) is dict:
        return {each: setting for each, setting in value.items() if each not in _OF_THE_RUN}
    if name in ("_default_config", "kwargs") and type(value) is dict:
        return {
            each: setting
            for each, setting in value.items()
            if not each.endswith("api_key") and not isinstance(setting, _SECRETS)
        }
    return value


def _is_not_given(value: Any, default: Any) -> bool:
    if value is None or isinstance(value, _SECRETS):
        return True
    kind = type(value)
    if kind in (list, dict, tuple, set):
        return not value
    return kind is type(default) and kind in (str, int, float, bool) and bool(value == default)
