"""The Markdown report."""

from __future__ import annotations

from typing import Any

from bench.cells import CELLS
from bench.contenders import FILES, MEMORY, POSTGRES, REDIS, TIERS
from bench.contenders.memoised import MEMOISERS
from bench.payloads import PAYLOADS
from bench.score import verdict

MARKS = {"aim": "✔✔ aim", "met": "✔ met", "short": "✘ short", "": ""}

_RAW = (
    "dict + ormsgpack",
    "sqlite3 + ormsgpack",
    "apsw + ormsgpack",
    "socket + hiredis + ormsgpack",
    "psycopg + ormsgpack",
    "SqliteCache alone",
)
_MEMOISED = ("diskcache", "cachebox", "cachebox, deep copies", "cachetools, lock=")
_OTHERS = ("diskcache", "cachetools TTLCache", "cachetools LRUCache", *_RAW, *_MEMOISED[1:], "a str")
_OWN = ("below the limit", "no entry with a TTL")
_COLUMNS = {
    "In memory": _OTHERS[1:4],
    "SQLite file": ("diskcache", "sqlite3 + ormsgpack", "apsw + ormsgpack"),
    "Redis": ("socket + hiredis + ormsgpack",),
    "PostgreSQL": ("psycopg + ormsgpack",),
    "Tiers": ("SqliteCache alone",),
    "Compute once": _MEMOISED,
    "Agents": (
        "CacheBackedEmbeddings",
        "LangChain's LLM cache",
        "no cache",
        "a middleware that does nothing",
        "hitrate in memory",
    ),
    "Tails": ("diskcache", "cachetools LRUCache"),
    "Eviction": ("LRU", "S3-FIFO", "theine", "moka-py"),
    "Eviction by worth": ("hitrate by default", "LRU", "GDSF"),
    "Import": (),
    "Keys": (),
}

_PICTURES = {
    "Tails": "![Percentiles of the milliseconds that one set takes](tails.svg)",
    "Eviction": "![Hits in percent, on each trace](eviction.svg)",
    "Eviction by worth": "![Seconds saved in percent, on each trace](worth.svg)",
}

_SHOWN_AS_THEY_ARE = ("Tails", "Eviction", "Eviction by worth")
"""The tables in which the others' numbers are shown themselves, not divided by ours."""

_HOW = """\
Every experiment runs in a fresh process, in which the contenders take turns: in each round every one of them runs a
block of calls of a few milliseconds, in an order drawn anew. A ratio is taken within each round; shown are the median
over the rounds and, in brackets, the quartiles. Keys and values are made before the clock starts, and the loop that
is timed is the same for all. The cyclic garbage collector runs between rounds, not in them.

- **ratio** is LangGraph's time divided by ours, or the limit's where the cell says so: 2 is twice as fast. Cells marked
  "at most" are those where less is better: our number divided by LangGraph's, or our number alone.
- **other / ours**, under a contender's name, is its number divided by ours: above 1, we are ahead of it.
- {mark_aim}: reaches the aim; {mark_met}: reaches what was asked; {mark_short}: does not.
- In memory, keys are drawn from 16 entries, a few being what a loop comes back to, or from 1,000 where it says so,
  which are no longer near the processor, or from 100,000; of S and F from 10,000, which are some 200 MB. "The first hit
  after its set" and "the second" are of entries that were just stored: what a cache does once for an entry to serve it
  better later is in them. A miss and its set is what a program does that computes.
- A set stores a new key unless the cell says otherwise. Where entries are in a file, 1,000 of the same kind are there
  before.
- With a TTL, entries live for an hour, so that none expires; raw limits have none.
- Tails: every set is timed alone, in one run of a fresh process for each situation, one contender after the other;
  values are R. The tables show percentiles in milliseconds, each contender's own. New keys are set one after the other:
  from the start, with `max_entries` entries there (one in twenty was read before), from the moment at which all others
  fall due, and while another thread clears all others. LangGraph and diskcache hold no number of entries, cachetools'
  LRUCache does; LangGraph keeps what has expired until it is asked for. The longest block of the loop is told by a task
  that is to go on every millisecond beside 200 others, each of them nine reads for each write, one after the other; it
  has what the machine did meanwhile in it.
- Eviction: hits in percent of 200,000 reads, with room for 1,000 of 10,000 keys and more; a miss is stored. LRU is an
  `OrderedDict`, S3-FIFO a simulation; theine and moka-py are W-TinyLFU. What is asked holds for a full run: in a quick
  run more of the reads are the first of their key.
- Eviction by worth: the seconds that hits save, in percent of what all 50,000 reads would take without a cache. The
  largest value has 100 times the bytes of the smallest, the slowest takes 1,000 times as long as the quickest, and
  there is room for 1,000 of the mean. hitrate runs with `evict="cost"` and by default; GDSF is
  GreedyDual-Size-Frequency with a heap, which each hit reorders, and LRU goes by bytes; both are simulations.
- In files the durability class is WAL with synchronous=NORMAL for all that have the choice, and FULL for them in the
  cell that says so. LangGraph has none and runs at FULL.
- 90% reads: each operation is of one key; one in ten overwrites. With several processes an operation that fails,
  the file being locked, counts as not done.
- 1,000 texts are embedded by a model that takes no time, so that what is shown is what the cache adds; a vector has
  1,536 numbers, each a float32. Both start from an empty store in each round; warm is the second call.
- Sends, tasks and agents are whole runs, each round on a new cache; what the nodes, tools and models do takes no time,
  and a task returns a D. Warm is the second run, of agents the twelfth: with LangChain's own caches each run makes one
  more of 10 model calls a hit, and tools always run. "No cache" is the agent without any.
- A hit of a call is the difference between a run whose model or tool calls are hits of the middleware, and one in which
  another middleware returns them at once, divided by the calls: 10 of the model with the history as it grows, 20 of a
  tool. `create_agent(cache=...)` caches nothing, so that there is no cell for it.
- langchain-redis has no store for `CacheBackedEmbeddings`, and its cache for models wants a Redis with RedisJSON; on
  Redis what is compared with is langchain-community's, as it is for models on SQLite.
- What a cache does behind the scenes after a set has returned (hitrate checkpoints there) has 3 ms between blocks and
  is not in the time of the set; in the cells of threads, processes and tasks it is."""


def markdown(results: dict[str, Any]) -> str:
    """Return the report of all cells that have been measured."""
    cells = {name: results["cells"][name] for name in CELLS if name in results["cells"]}
    parts = ["# Benchmark", "", "Made by `python -m bench`. " + _mode(cells), ""]
    for group, columns in _COLUMNS.items():
        chosen = {name: cell for name, cell in cells.items() if cell["group"] == group}
        if chosen:
            parts += [f"## {group}", "", *_table(chosen, columns, ratios=group not in _SHOWN_AS_THEY_ARE), ""]
            parts += [_PICTURES[group], ""] if group in _PICTURES else []
    parts += [_slower(cells, "LangGraph"), "", _slower(cells, "diskcache"), ""]
    parts += ["![Ratios to LangGraph, with what was asked and aimed at](results.svg)", ""]
    if any("course" in cell for cell in cells.values()):
        parts += ["![Callers that are held up when 1,000 keys expire at one moment](early.svg)", ""]
    parts += ["## All contenders", "", *_medians(cells), ""]
    parts += ["## How it is measured", "", _how(), "", *_payloads(), "", *_notes(), ""]
    parts += [
        "## Where it was measured",
        "",
        *(f"- {key}: {value}" for key, value in results["environment"].items()),
        "",
    ]
    return "\n".join(parts)


def _slower(cells: dict[str, Any], who: str) -> str:
    """Return where we are slower, or take more, than another."""
    compared = {
        name: cell["contenders"].get(who, {}).get("to_ours")
        for name, cell in cells.items()
        if cell["score_is"] not in ("own", "share")
    }
    behind = [f"`{name}` ({number(ratio)})" for name, ratio in compared.items() if ratio is not None and ratio < 1]
    count = sum(ratio is not None for ratio in compared.values())
    return (
        f"Of {count} cells shared with {who}, hitrate is behind it in {len(behind)}"
        + (": " if behind else "")
        + ", ".join(behind)
        + "."
    )


def number(value: float) -> str:
    """Return a number with about three digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(name: str, cell: dict[str, Any]) -> str:
    """Return a cell in a line of plain text."""
    score = cell["score"]
    if score is None:
        return f"{name}: " + ", ".join(f"{who} {number(each['value'])}" for who, each in cell["contenders"].items())
    asked = "" if cell["asked"] is None else f", asked {_bound(cell)}, {MARKS[verdict(cell)]}"
    return f"{name}: {_spread(score)}{asked}"


def _mode(cells: dict[str, Any]) -> str:
    quick = [cell for cell in cells.values() if cell["quick"]]
    if not quick:
        return "A full run."
    which = "All" if len(quick) == len(cells) else f"{len(quick)} of {len(cells)}"
    return (
        f"**{which} cells are from a quick run: fewer rounds, and a tenth of the entries, sets and "
        "reads where there are more than 1,000.** "
        "They are marked (quick)."
    )


def _table(cells: dict[str, Any], columns: tuple[str, ...], *, ratios: bool) -> list[str]:
    head = ["cell", "hitrate", "LangGraph", "ratio", "asked", "aim", "", *columns]
    lines = [_row(head), _row(["---", *["---:"] * 5, "---", *["---:"] * len(columns)])]
    for cell in cells.values():
        contenders = cell["contenders"]
        lines.append(
            _row(
                [
                    cell["title"] + " (quick)" * cell["quick"],
                    _value(cell, "hitrate"),
                    _value(cell, "LangGraph"),
                    "-" if cell["score"] is None else _spread(cell["score"]),
                    _bound(cell),
                    "" if cell["aim"] is None else number(cell["aim"]),
                    MARKS[verdict(cell)],
                    *(
                        _value(cell, who)
                        if not ratios
                        else number(contenders[who]["to_ours"])
                        if "to_ours" in contenders.get(who, {})
                        else "-"
                        for who in columns
                    ),
                ]
            )
        )
    return lines


def _medians(cells: dict[str, Any]) -> list[str]:
    names = [
        who
        for who in (
            "hitrate",
            "LangGraph",
            *_OTHERS,
            *_OWN,
            *_COLUMNS["Agents"],
            *_COLUMNS["Eviction"],
            *_COLUMNS["Eviction by worth"],
        )
        if any(who in cell["contenders"] for cell in cells.values())
    ]
    lines = [_row(["cell", "rounds", *names]), _row(["---", "---:", *["---:"] * len(names)])]
    for name, cell in cells.items():
        lines.append(_row([f"`{name}`", str(cell["rounds"]), *(_value(cell, who) for who in names)]))
    return lines


def _value(cell: dict[str, Any], who: str) -> str:
    contender = cell["contenders"].get(who)
    return "-" if contender is None else f"{number(contender['value'])} {cell['unit']}"


def _spread(score: dict[str, Any]) -> str:
    low, high = score["quartiles"]
    return f"{number(score['value'])} ({number(low)} to {number(high)})"


def _bound(cell: dict[str, Any]) -> str:
    if cell["asked"] is None:
        return ""
    return number(cell["asked"]) if cell["score_is"] in ("faster", "share") else f"at most {number(cell['asked'])}"


def _row(columns: list[str]) -> str:
    return "| " + " | ".join(columns) + " |"


def _how() -> str:
    return _HOW.format(mark_aim=MARKS["aim"], mark_met=MARKS["met"], mark_short=MARKS["short"])


def _payloads() -> list[str]:
    return ["Values:", "", *(f"- {payload.name}: {payload.title}" for payload in PAYLOADS.values())]


def _notes() -> list[str]:
    every = (MEMORY, FILES, REDIS, POSTGRES, TIERS, MEMOISERS)
    notes = {kind.name: kind.note for kinds in every for kind in kinds.values() if kind.note}
    return ["Contenders:", "", *(f"- {name}: {note}" for name, note in notes.items())]
