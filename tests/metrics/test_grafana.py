"""``docs/grafana.json``: a dashboard that asks for what ``hitrate.metrics.prometheus`` exports, and for all of it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from hitrate import InMemoryCache
from hitrate.metrics import prometheus
from hitrate.metrics.figures import COMPUTE, METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]


def exported() -> dict[str, set[str]]:
    """Return the labels of each sample that there may be, by its name."""
    registry, cache = CollectorRegistry(), InMemoryCache(max_entries=10, max_bytes=10**6)
    prometheus(cache, name="c", registry=registry)
    cache.get_or_compute((("a",), "k"), lambda: 1)
    found: dict[str, set[str]] = {}
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {
        **found,
        "hitrate_tokens_saved_total": {"cache", "model", "kind"},
    }  # there are some after a model's first hit


def test_all_figures_are_exported_that_metrics_may_tell() -> None:
    names = {f"hitrate_{each.name}{'_total' if each.total else ''}" for each in METRICS}
    histogram = {f"hitrate_{COMPUTE.name}_{suffix}" for suffix in ("bucket", "count", "sum")}
    assert exported().keys() >= names | histogram


def test_every_query_asks_for_metrics_and_labels_that_are_exported() -> None:
    there = exported()
    for query in QUERIES:
        names = re.findall(r"hitrate_\w+", query)
        assert names
        assert [name for name in names if name not in there] == [], query
        labels = set.intersection(*(there[name] for name in names))
        asked = {each.strip() for group in re.findall(r"by \(([^)]*)\)", query) for each in group.split(",")}
        asked |= set(re.findall(r'(\w+)=~?"', query))
        assert asked <= labels, query
        assert (query.count("("), query.count("{")) == (query.count(")"), query.count("}"))


def test_every_metric_has_its_place() -> None:
    asked = {name for query in QUERIES for name in re.findall(r"hitrate_\w+", query)}
    assert exported().keys() - asked == {name for name in exported() if name.endswith("_created")}


def test_a_legend_names_labels_that_the_query_keeps() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            kept = {
                each.strip() for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for each in group.split(",")
            }
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


def test_panels_are_told_apart_and_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def test_the_page_names_its_panels() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [panel["title"] for panel in PANELS if f"*{panel['title']}*" not in " ".join(page.split())] == []
