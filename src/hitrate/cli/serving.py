"""``serve``: the inspector, on a port of this machine."""

from __future__ import annotations

import re
from functools import partial

import click

from hitrate.cli.arguments import cache_argument, json_option
from hitrate.cli.caches import changing, named, reading
from hitrate.cli.exits import MISUSE, Failure
from hitrate.cli.printing import as_json, shown

Price = tuple[str, tuple[float, float]]
"""The name of a model, and dollars for a million input tokens and for a million output tokens."""

_PORT = 8642
_GIVEN_LIMIT = re.compile(r"[?&]max_(?:bytes|entries)=")


def _price(text: str) -> Price:
    """Return the model and the prices of ``MODEL=IN,OUT``."""
    found = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", text)
    if not found:
        raise click.BadParameter(f"{text!r} is no price; write MODEL=IN,OUT, dollars for a million tokens each")
    return found[1], (float(found[2]), float(found[3]))


@click.command("serve")
@cache_argument
@click.option("--port", type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="0 for any that is free.")
@click.option("--allow-delete", is_flag=True, help="Let entries be removed on its pages.")
@click.option("--price", "prices", metavar="MODEL=IN,OUT", type=_price, multiple=True, help="Of tokens, as below.")
@json_option
def serve_command(url: str, port: int, allow_delete: bool, prices: tuple[Price, ...], json_: bool) -> None:
    """Show the cache at URL on pages in a browser, until Ctrl-C.

    The address that is printed has a token in it, and is for this machine only. Nothing is written to the cache, unless
    entries are removed with --allow-delete.

    Tokens are told as money at the prices given, --price MODEL=2.5,10 (dollars for a million of input and of output),
    or those of genai-prices, if that is installed.
    """
    try:
        from hitrate.inspect.asgi import inspector_of, site
        from hitrate.inspect.serving import Site
    except ModuleNotFoundError as error:
        raise Failure(
            f"the inspector needs {error.name}, which is not installed: pip install '.[inspect]' in hitrate's folder",
            MISUSE,
        ) from error
    with reading(url) as cache:
        inspector = inspector_of(
            cache, name=named(cache), prices=dict(prices), limits_known=bool(_GIVEN_LIMIT.search(url))
        )
        try:
            pages = Site(site(inspector, partial(changing, url) if allow_delete else None), port)
        except OSError as error:
            raise Failure(
                f"port {port} cannot be had ({error.strerror}): another program has it, perhaps another serve; "
                f"--port 0 takes one that is free"
            ) from error
        inspector.history.start()
        inspector.index.start()

        def tell() -> None:
            if json_:
                click.echo(as_json({"url": pages.url, "port": pages.port}))
            else:
                click.echo(f"{shown(named(cache))} is at\n{pages.url}\nCtrl-C ends it.")

        pages.run(tell)
