"""The command line of a generated description: where its calendar stands, and whether a server answers as it says."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Final

from migdsl.runtime.api.model import Api, moment
from migdsl.runtime.api.probe import Ask, Look, looks
from migdsl.runtime.arguments import Parser

_DAY: Final = 86_400


def run(apis: tuple[Api, ...], words: list[str] | None = None, clock: float | None = None) -> int:
    """0 fine, 1 a server answers otherwise, 2 usage, 3 it doesn't answer."""
    parser = _parser()
    options = parser.parse_args(words)
    chosen = tuple(api for api in apis if options.api in (None, api.name))
    if not chosen:
        parser.error(f"there is no API {options.api}; there is {', '.join(api.name for api in apis)}")
    now = time.time() if clock is None else clock
    if options.command == "dates":
        sys.stdout.write("".join(f"{line}\n" for api in chosen for line in dates(api, now)))
        return 0
    if not options.base.startswith(("https://", "http://")):
        parser.error("the address begins with https:// or http://")
    try:
        ask = Ask(options.base.rstrip("/"), _fills(options.fill), _headers(options), options.timeout, options.tenant)
    except ValueError as error:
        parser.error(str(error))
    return _probe(chosen, ask, now)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(description="An API's calendar, and whether a server keeps to it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shown = commands.add_parser("dates", help="the calendar, seen from today")
    probe = commands.add_parser("probe", help="ask each version for each GET route, and compare")
    for each in (shown, probe):
        each.add_argument("--api", metavar="NAME", help="this one alone")
    probe.add_argument("base", metavar="URL", help="https://host, before the API's own paths")
    probe.add_argument(
        "--fill", action="append", default=[], metavar="NAME=VALUE", help="what stands for {NAME} in routes"
    )
    probe.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="a header of each request")
    probe.add_argument(
        "--header-env", action="append", default=[], metavar="NAME=VARIABLE", help="one from the environment"
    )
    probe.add_argument("--tenant", help="whom the requests are for, where a grace holds for some")
    probe.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="for each answer (10)")
    return parser


def _pair(text: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ValueError(f"{what} is NAME=VALUE, not {text!r}")
    return name, value


def _fills(said: list[str]) -> dict[str, str]:
    return dict(_pair(text, "--fill") for text in said)


def _headers(options: argparse.Namespace) -> dict[str, str]:
    found = dict(_pair(text, "--header") for text in options.header)
    for name, variable in (_pair(text, "--header-env") for text in options.header_env):
        if variable not in os.environ:
            raise ValueError(f"--header-env {name}: {variable} is not set")
        found[name] = os.environ[variable]
    return found


def _probe(apis: tuple[Api, ...], ask: Ask, now: float) -> int:
    asked = wrong = 0
    for api in apis:
        try:
            for look in looks(api, ask, now):
                sys.stdout.write(f"{_line(api, look)}\n")
                asked += look.asked
                wrong += bool(look.wrong)
        except (OSError, HTTPException) as error:
            sys.stderr.write(f"{api.name}: no answer ({type(error).__name__})\n")
            return 3
    if not asked:
        sys.stderr.write("nothing was asked: no GET route has all of its parameters filled (--fill NAME=VALUE)\n")
        return 2
    sys.stdout.write(f"{asked} requests, {wrong} not as they should be\n")
    return 1 if wrong else 0


def _line(api: Api, look: Look) -> str:
    status = f" {look.status}" if look.status else ""
    said = "; ".join(look.wrong) if look.wrong else look.note or "fine"
    return f"{api.name} {look.version} {look.route}:{status} {said}"


def dates(api: Api, now: float) -> Iterator[str]:
    """The calendar as lines, the first day first."""
    days = [(api.announced, "announced")] if api.announced else []
    for version in api.versions:
        if version.deprecated is not None:
            days.append((version.deprecated, f"{version.name} deprecated"))
        if version.sunset is not None:
            days.append((version.sunset, f"{version.name} answers 410"))
    days += [(day, f"so it does for tenant {tenant}") for tenant, day in api.grace]
    for day, what in sorted(days, key=lambda each: each[0]):
        yield f"{api.name} {day} {what} ({_distance(moment(day) - now)})"


def _distance(seconds: float) -> str:
    days = int(-(-seconds // _DAY) if seconds > 0 else -seconds // _DAY)
    count = f"{days} day{'' if days == 1 else 's'}"
    return f"in {count}" if seconds > 0 else f"{count} ago"
