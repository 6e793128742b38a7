"""Which model answers, by content: its class, its settings, and nothing that tells one process from another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.runnables import RunnableBinding
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.configurable import DynamicRunnable

from hitrate.content.calls import content_key
from hitrate.langchain.settings import HOW_IT_IS_ASKED, PLAIN_TYPES, fields_set, name_of_class, settings
from hitrate.langgraph.remembered import Remembered

_ANSWERS_ALIKE = frozenset({"ls_integration"})


def identity_of(model: Any) -> Any:
    """Return what tells a model from others: its class, type and settings.

    What it says of itself (``_identifying_params`` and what LangSmith is told) is asked each time. Its fields count as
    they are when it is first seen, for some of them are no settings and change with each call, as a count of calls.

    Raises:
        TypeError: something that has no content may change its answers.
    """
    if isinstance(model, BaseLanguageModel):
        return [
            _fields_of(model).key,
            getattr(model, "_llm_type", ""),
            settings(_answering(model._identifying_params)),
            {name: value for name, value in model._get_ls_params().items() if name not in _ANSWERS_ALIKE},
        ]
    if isinstance(model, RunnableBinding):
        if model.config_factories:
            raise TypeError("the model is bound to functions that make its configuration")
        return ["bound", settings(model.kwargs), settings(model.config.get("configurable")), identity_of(model.bound)]
    if isinstance(model, DynamicRunnable):
        prepared, _ = model.prepare(ensure_config())
        return identity_of(prepared)
    if hasattr(type(model), "_model_params"):  # what init_chat_model returns for configurable fields
        operations = list(model._queued_declarative_operations)
        return [name_of_class(type(model)), settings(_chosen(model)), settings(operations)]
    raise TypeError(f"a {name_of_class(type(model))} does not tell what model it is")


def told_of(model: Any) -> dict[str, Any]:
    """Return what ``identity_of`` goes by with a name for each setting, for ``explain``."""
    if isinstance(model, RunnableBinding):
        return {**told_of(model.bound), **settings(model.kwargs), **settings(model.config.get("configurable") or {})}
    if isinstance(model, DynamicRunnable):
        return told_of(model.prepare(ensure_config())[0])
    if isinstance(model, BaseLanguageModel):
        params = model._get_ls_params().items()
        says = {name.removeprefix("ls_"): each for name, each in params if name not in _ANSWERS_ALIKE}
        return {**_fields_of(model).told, **says, **settings(_answering(model._identifying_params))}
    return {"class": name_of_class(type(model)), **settings(_chosen(model))}


def name_of_model(model: Any) -> str:
    """Return the name of a model as its provider knows it; that of its class if it has none."""
    while isinstance(model, RunnableBinding):
        model = model.bound
    if isinstance(model, DynamicRunnable):
        model = model.prepare(ensure_config())[0]
    if hasattr(type(model), "_model_params"):
        return str(_chosen(model).get("model") or type(model).__name__)
    for field in ("model_name", "model", "model_id"):
        name = getattr(model, field, None)
        if type(name) is str and name:
            return name
    name = model._get_ls_params().get("ls_model_name") if isinstance(model, BaseLanguageModel) else None
    return name if type(name) is str else type(model).__name__


def picks_format_by(model: Any) -> Any:
    """Return what a model's profile says that makes an agent ask for structured output in one way or another."""
    profile = getattr(model, "profile", None)
    return profile.get("structured_output") if isinstance(profile, Mapping) else None


def _chosen(model: Any) -> dict[str, Any]:
    """Return the settings that a run chose, without those that are LangGraph's and mean the run."""
    of_run = {
        name: value
        for name, value in model._model_params(ensure_config()).items()
        if name != "thread_id" and not name.startswith(("__", "checkpoint_"))
    }
    return {**model._default_config, **of_run}


def _answering(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in HOW_IT_IS_ASKED}


class _Fields(NamedTuple):
    """The fields of a model.

    Attributes:
        key: of all of them and the class.
        told: for people, by name: a plain value, or a key of one that is not.
    """

    key: str
    told: dict[str, Any]


def _find_fields_of(model: BaseLanguageModel[Any]) -> _Fields:
    cls = type(model)
    tells = cls._identifying_params is not BaseLanguageModel._identifying_params
    counting = dict(_counting(model, tells))
    plain = {name: value for name in counting if type(value := getattr(model, name)) in PLAIN_TYPES}
    # An address does not tell two settings apart in other processes; what they say of themselves counts.
    return _Fields(content_key(name_of_class(cls), counting), {"class": name_of_class(cls), **counting, **plain})


def _counting(model: BaseLanguageModel[Any], tells: bool) -> Iterator[tuple[str, Any]]:
    for name, value in fields_set(model, BaseChatModel):
        if name in HOW_IT_IS_ASKED or hasattr(type(value), "__next__"):  # an iterator is used up as it is read
            continue
        try:
            yield name, content_key(settings(value, is_lenient=tells))
        except TypeError as error:
            if not tells:
                why = str(error).partition(". Say with scope=")[0]  # the rest is advice for cached functions
                raise TypeError(
                    f"the field {name!r} of the model {name_of_class(type(model))} has no content, and the class has "
                    f"no _identifying_params that tell its models apart: {why}"
                ) from error


_fields_of = Remembered(_find_fields_of)
