"""What the pages show, as HTML and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from told_values import TOLD

from hitrate import ClosedError, InMemoryCache, SerializationError, SqliteCache, TieredCache
from hitrate.inspect import app
from hitrate.serde import EncryptedSerializer, MsgpackSerializer
from inspector.conftest import HOSTILE, client_of, listed

PAGES = ["", "overview", "namespaces", "entries", "expiry"]


@dataclass
class Report:
    title: str

    def __repr__(self) -> str:
        raise AssertionError("the program's code ran")


def entry_of(client: TestClient, namespace: tuple[str, ...], key: str, **query: Any) -> Any:
    answer = client.get("/entry.json", params={"ns": json.dumps(namespace), "key": key, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_overview_tells_what_the_cache_did_and_holds(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), f"k{i}"): (i, None) for i in range(3)})
    cache.get([(("a",), "k0"), (("a",), "k1"), (("a",), "k2"), (("a",), "none")])
    page = client.get("/overview.json").json()
    stats = page["stats"]
    assert (stats["hits"], stats["misses"], stats["entries"], stats["hit_rate"]) == (3, 1, 3, 0.75)
    assert stats["bytes"] == cache.stats().bytes
    assert page["limits"] == {"entries": None, "bytes": 10 << 30, "known": True}
    text = client.get("/").text
    assert "<dd>75.0 %</dd>" in text
    assert "of 10.7 GB" in text


@pytest.mark.parametrize("page", PAGES[1:])
def test_each_page_is_json_too_and_links_to_it(cache: SqliteCache[Any], client: TestClient, page: str) -> None:
    cache.set({(("a",), "k"): (1, 3600)})
    answer = client.get(f"/{page}.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["cache"] == repr(cache)
    assert f'href="/{page}.json"' in client.get(f"/{page}").text


def test_namespaces_add_up_what_is_below(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a", str(i % 2)), f"k{i}"): ("x" * i, None) for i in range(10)})
    cache.set({(("b/c",), "k"): (1, None), ((), "root"): (1, None), (("a",), "own"): (1, None)})
    page = listed(client, "namespaces")
    told = {tuple(row["namespace"]): (row["entries"], row["own_entries"]) for row in page["namespaces"]}
    assert told == {("a",): (11, 1), ("b/c",): (1, 1), (): (1, 1)}
    assert sum(row["bytes"] for row in page["namespaces"]) == cache.stats().bytes
    below = listed(client, "namespaces", under='["a"]')["namespaces"]
    assert {tuple(row["namespace"]): row["entries"] for row in below} == {("a",): 1, ("a", "0"): 5, ("a", "1"): 5}
    text = client.get("/namespaces").text
    assert text.count('class="outer') == 3
    assert text.count('class="inner') == 3
    assert "[&#34;b/c&#34;]" in text


def test_entries_come_in_every_order_and_in_pages(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), f"k{i:03}"): ("x" * (i * 7 % 120), 60 + i) for i in range(120)})
    keys = [
        each["key"] for number in (1, 2, 3) for each in listed(client, "entries", sort="key", page=number)["entries"]
    ]
    assert keys == [f"k{i:03}" for i in range(120)]
    assert listed(client, "entries", sort="key", page=4)["entries"] == []
    sizes = [each["bytes"] for each in listed(client, "entries", sort="bytes", order="down")["entries"]]
    assert sizes == sorted((info.bytes for info in cache.entries()), reverse=True)[:50]
    soonest = listed(client, "entries", sort="expires")["entries"]
    assert [each["key"] for each in soonest] == [f"k{i:03}" for i in range(50)]
    assert "page 2 of 3" in client.get("/entries?page=2").text


def test_a_search_finds_text_in_keys(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), key): (1, None) for key in ("Rome_1", "rome%2", "Paris", "r\nome", "été", "\ud800")})
    cache.set({(("b",), "ROME"): (1, None)})

    def found(q: str, **more: Any) -> set[str]:
        page = listed(client, "entries", q=q, **more)
        assert page["found"] == len(page["entries"])
        return {each["key"] for each in page["entries"]}

    assert found("rome") == {"Rome_1", "rome%2", "ROME"}
    assert found("rome", under='["a"]') == {"Rome_1", "rome%2"}
    assert found("rome", ns='["b"]') == {"ROME"}
    assert found("%") == {"rome%2"}
    assert found("_") == {"Rome_1"}
    assert found("té") == {"été"}
    assert found("eP") == set()  # it does not run from one key into the next


def test_one_entry_is_shown_with_its_value(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), "k"): ({"city": "Rome", "days": [1, 2]}, 3600)})
    listed(client, "entries")
    page = entry_of(client, ("a",), "k")
    assert page["value"] == {"city": "Rome", "days": [1, 2]}
    assert page["decoded"]
    assert 3500 < page["expires"] - page["now"] <= 3600
    assert page["bytes"] == cache.stats().bytes
    assert "&#39;city&#39;: &#39;Rome&#39;" in client.get("/entry", params={"ns": '["a"]', "key": "k"}).text


def test_a_value_of_the_programs_classes_is_told_by_what_is_stored(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), "k"): ([Report("Q3")], None)})
    page = entry_of(client, ("a",), "k")
    assert not page["decoded"]
    assert "Report" in page["text"]
    assert "'Q3'" in page["text"]


def test_hostile_keys_and_values_are_text_on_every_page(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({((HOSTILE, "b"), HOSTILE): (HOSTILE, 3600), (("x",), "k"): ({HOSTILE: [HOSTILE]}, None)})
    listed(client, "entries")
    query = {"ns": json.dumps((HOSTILE, "b")), "key": HOSTILE}
    answers = [client.get(f"/{page}") for page in PAGES]
    answers += [client.get("/entry", params=query), client.get("/entry", params={"ns": '["x"]', "key": "k"})]
    answers += [client.get("/entries", params={"q": HOSTILE}), client.get("/namespaces", params={"under": query["ns"]})]
    answers += [client.get("/entries", params={"page": HOSTILE}), client.get(f"/{HOSTILE}")]
    answers += [client_of(cache, allow_delete=True).get("/delete", params=query)]
    for answer in answers:
        assert answer.headers["content-type"].startswith("text/html")
        assert "<img" not in answer.text
        assert re.findall(r"<script.*", answer.text) == ['<script src="/static/live.js" defer></script>']
    assert any("&lt;img src=x" in answer.text for answer in answers)


@pytest.mark.parametrize(
    "key", ["", "\x00", "\ud800", "a/b?c&d=e#f", "+ %41", "\u202egnp.exe", "x" * 5000, "\n\r\t", "'\""]
)
def test_any_key_is_linked_to_and_shown(cache: SqliteCache[Any], client: TestClient, key: str) -> None:
    cache.set({((key, "é,"), key): ("the value", None)})
    listed(client, "entries")
    link = re.search(r'href="(/entry\?[^"]*)"', client.get("/entries").text)
    assert link is not None
    answer = client.get(link[1].replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "the value" in answer.text
    assert "\u202e" not in answer.text  # what turns text round is shown by its number


def test_what_cannot_be_decoded_is_told_by_its_encoding(tmp_path: Path) -> None:
    with SqliteCache(tmp_path / "e.db", serde=EncryptedSerializer(key=b"k" * 32)) as cache:
        cache.set({(("a",), "k"): ("secret words", None)})
        page = entry_of(client_of(cache), ("a",), "k")
    assert not page["decoded"]
    assert "secret" not in json.dumps(page)


def test_a_large_value_is_not_decoded_unless_asked_for(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), "large"): ("x" * (5 << 20), None), (("a",), "long"): (list(range(50_000)), None)})
    assert entry_of(client, ("a",), "large")["too_large"]
    assert len(client.get("/entry", params={"ns": '["a"]', "key": "large"}).content) < 5000
    assert len(entry_of(client, ("a",), "large", whole=1)["text"]) == 5 << 20
    page = entry_of(client, ("a",), "long")
    assert (page["whole"], len(page["text"]), page["value"]) == (False, 20_000, None)
    assert entry_of(client, ("a",), "long", whole=1)["value"] == list(range(50_000))


def test_a_deep_value_is_shown_as_far_as_it_goes(cache: SqliteCache[Any], client: TestClient) -> None:
    value: Any = []
    for _ in range(100):
        value = [value]
    cache.set({(("a",), "k"): (value, None)})
    page = entry_of(client, ("a",), "k")
    assert page["decoded"]
    assert "…" in page["text"]


def test_a_damaged_entry_is_told(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with SqliteCache(path) as cache:
        cache.set({(("a",), "k"): ("findable words", None)})
    path.write_bytes(path.read_bytes().replace(b"findable words", b"findable wordz"))
    with SqliteCache(path, read_only=True) as cache:
        assert "damaged" in client_of(cache).get("/entry", params={"ns": '["a"]', "key": "k"}).text


def test_what_expires_next_comes_first(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.set({(("a",), f"k{i}"): (1, ttl) for i, ttl in enumerate((30, 300, 7200, 3e6, 1e8, None))})
    page = listed(client, "expiry")
    assert [each["key"] for each in page["next"]] == ["k0", "k1", "k2", "k3", "k4"]
    counts = {each["span"]: each["entries"] for each in page["spans"] if each["entries"]}
    assert counts == {"within a minute": 1, "within 10 minutes": 1, "within 6 hours": 1, "later": 2, "never": 1}
    assert sum(each["bytes"] for each in page["spans"]) == cache.stats().bytes


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("entries?page=0", 400),
        ("entries?q=%FF", 400),
        ("entries?%FF=%C3", 400),
        ("entries?page=-1", 400),
        ("entries?page=²", 400),
        ("entries?page=99999999999999999999", 400),
        ("entries?sort=rowid;drop", 400),
        ("entries?order=sideways", 400),
        ("entries?ns=a", 400),
        ("entries?ns=[1]", 400),
        ("entries?ns=" + "[" * 3000, 400),
        ("entries?under={}", 400),
        ("entries?q=" + "x" * 1001, 400),
        ("namespaces?by=colour", 400),
        ("overview?span=year", 400),
        ("entry", 400),
        ("entry?ns=[]", 400),
        ("entry?key=k", 400),
        ("entry?ns=[]&key=none", 404),
        ("nothing", 404),
        ("static/../asgi.py", 404),
        ("static/none.css", 404),
        ("delete?all=1", 403),
    ],
)
def test_a_wrong_address_is_told(cache: SqliteCache[Any], client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"/{path}")
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    if not path.startswith("static"):
        assert client.get(f"/{path.replace('?', '.json?', 1) if '?' in path else path + '.json'}").json()["error"]


def test_only_what_is_asked_for_is_answered(cache: SqliteCache[Any], client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = client.request(method, "/entries", headers={"origin": "http://inspector.test"})
        assert answer.status_code == 405


def test_a_cache_that_was_closed_is_told(cache: SqliteCache[Any], client: TestClient) -> None:
    cache.close()
    assert client.get("/overview").status_code == 503
    assert "closed" in listed_failure(client)


def listed_failure(client: TestClient) -> str:
    while not (failure := client.get("/entries.json").json()["failure"]):
        pass
    assert isinstance(failure, str)
    return failure


def test_no_cache_is_refused() -> None:
    with pytest.raises(TypeError, match="a cache of hitrate"):
        app({})  # type: ignore[arg-type]
    with InMemoryCache[Any]() as cache, pytest.raises(TypeError, match="dollars for a million"):
        app(cache, prices={"m": 3})  # type: ignore[dict-item]
    with pytest.raises(ClosedError):
        app(cache)


def test_it_is_mounted_beneath_any_path() -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("a",), "k"): (1, None)})
        outer = Starlette(routes=[Mount("/ops/cache", app(cache))])
        client = TestClient(outer, base_url="http://inspector.test")
        listed_page = client.get("/ops/cache/entries")
        assert listed_page.status_code == 200
        links = set(re.findall(r'(?:href|src|action)="([^"#]+)"', listed_page.text))
        assert all(link.startswith("/ops/cache/") for link in links)
        assert client.get("/ops/cache/static/style.css").status_code == 200
        assert client.get("/ops/cache/overview.json").json()["stats"]["entries"] == 1


def test_every_cache_can_be_looked_into(tmp_path: Path) -> None:
    caches = [
        InMemoryCache[Any](max_entries=10),
        TieredCache[Any](InMemoryCache[Any](), SqliteCache[Any](tmp_path / "far.db")),
        SqliteCache[Any](tmp_path / "m.db", serde=MsgpackSerializer()),
    ]
    for cache in caches:
        with cache:
            cache.set(
                {(("a",), "k"): ("v", 60), (("a",), "r"): ([Report("Q3")], None), (("b",), "k"): ({"d": [1]}, None)}
            )
            cache.get([(("a",), "k"), (("a",), "r"), (("b",), "k")] * 3)
            client = client_of(cache)
            assert listed(client, "entries")["found"] == 3
            assert entry_of(client, ("a",), "k")["value"] == "v"
            assert entry_of(client, ("b",), "k")["value"] == {"d": [1]}
            assert "'Q3'" in entry_of(client, ("a",), "r")["text"]
            assert {client.get(f"/{page}").status_code for page in PAGES} == {200}


def test_tokens_are_told_as_money() -> None:
    with InMemoryCache[Any]() as cache:
        cache._counters.ledger.account(("a",), "large").hit(2.0, 1_000_000, 500_000, 0.0)
        client = client_of(cache, prices={"large": (2.0, 10.0)})
        assert client.get("/overview.json").json()["stats"]["dollars_saved"] == 7.0
        assert "$7.00" in client.get("/").text


def test_what_was_saved_is_told_by_namespace() -> None:
    with InMemoryCache[Any]() as cache:
        cache.set({(("answers", "m"), "k"): (1, None), (("pages",), "k"): (1, None), (("other",), "k"): (1, None)})
        cache.get([(("pages",), "k"), (("pages",), "none")])
        cache._counters.ledger.account(("answers", "m"), "m").hit(2.0, 5, 6, 0.0)
        client = client_of(cache)
        rows = listed(client, "namespaces", by="tokens")["namespaces"]
        assert [(row["namespace"], row["hits"], row["misses"], row["tokens_saved"]) for row in rows] == [
            (["answers"], 0, 0, 11),
            (["other"], 0, 0, 0),
            (["pages"], 1, 1, 0),
        ]
        assert client.get("/namespaces?by=tokens").text.count('class="outer') == 1


@pytest.mark.parametrize(
    "value",
    [1 << 50_000, -(1 << 50_000), {"a": [1 << 50_000]}, float("inf"), float("nan"), [b"\xff"]],
    ids=["long", "negative", "within", "inf", "nan", "bytes"],
)
def test_a_value_that_json_has_no_word_for_is_text(cache: SqliteCache[Any], client: TestClient, value: Any) -> None:
    cache.set({(("a",), "k"): (value, None)})
    assert entry_of(client, ("a",), "k")["decoded"]
    assert client.get("/entry", params={"ns": '["a"]', "key": "k"}).status_code == 200


def test_as_deep_as_a_value_can_be_it_is_json(cache: SqliteCache[Any], client: TestClient) -> None:
    value: Any = {}
    for _ in range(300):
        try:
            cache.set({(("a",), "k"): (value, None)})
        except SerializationError:
            break
        value = {"a": [value]}
    assert entry_of(client, ("a",), "k", whole=1)["whole"] is not None


def test_what_a_library_made_is_told_by_its_type_and_its_beginning(cache: SqliteCache[Any], client: TestClient) -> None:
    frame, _ = TOLD["frame"]
    cache.set({(("a",), "frame"): (frame, None), (("a",), "matrix"): (np.zeros((3, 4)), None)})
    page = client.get("/entry", params={"ns": '["a"]', "key": "frame"}).text
    assert "pandas.DataFrame (2 rows x 7 columns)" in page
    assert "&#39;Rome&#39;" in page
    told = entry_of(client, ("a",), "matrix")
    assert (told["decoded"], told["value"]["class"]) == (False, "numpy.ndarray")
    assert told["value"]["about"] == "float64, shape (3, 4)"
    assert told["value"]["state"] == [[0.0] * 4] * 3


def test_a_key_that_does_not_show_is_written_as_the_command_takes_it(
    cache: SqliteCache[Any], client: TestClient
) -> None:
    cache.set({(("a\x00",), "\ud800\x1b"): (1, None)})
    listed(client, "entries")
    page = client.get("/entries").text
    assert r"&#34;\ud800\x1b&#34;" in page
    assert r"[&#34;a\u0000&#34;]" in page
