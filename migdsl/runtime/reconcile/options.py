"""Turns a reconciliation's command line into what it is asked to do."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.telemetry.options import Telemetry

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
SECRET: Final = "MIGDSL_HASH_KEY"


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """What the command line asked for.

    `tenants` None means all; `limit` caps the keys shown a tenant. `seconds` is how long the run may take, `duty` which
    share of the time it works, None as the job says. `secret` keys all hashes that are told, None: one of this process.
    `tenants_url` is of the database that has the list of tenants, where the job says that it is another one; so is
    `other_url` of the new side's.
    """

    url: str
    tenants: tuple[str, ...] | None = None
    limit: int = 20
    telemetry: Telemetry = field(default_factory=Telemetry)
    resume: bool = False
    seconds: float | None = None
    repair: bool = False
    delete: bool = False
    duty: float | None = None
    secret: bytes | None = field(default=None, repr=False)
    tenants_url: str | None = field(default=None, repr=False)
    other_url: str | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        asked: argparse.Namespace,
        url: str,
        tenants: tuple[str, ...] | None,
        telemetry: Telemetry,
        tenants_url: str | None = None,
        other_url: str | None = None,
    ) -> ReconcileOptions:
        """From the options of `add_options`, and the environment's secret."""
        secret = os.environ.get(SECRET)
        return cls(
            url,
            tenants,
            asked.limit,
            telemetry,
            resume=asked.resume,
            seconds=asked.seconds,
            repair=asked.repair or asked.delete,
            delete=asked.delete,
            duty=asked.duty,
            secret=secret.encode() if secret else None,
            tenants_url=tenants_url,
            other_url=other_url,
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only a reconciliation has."""
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    parser.add_argument("--limit", type=_positive, default=20, metavar="N", help="keys shown a tenant (default 20)")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_duration,
        metavar="TIME",
        help="stop after this time (90s, 10m, 2h) and say how far it is: exit code 4, and nothing is proved",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where a run over all tenants ended early, within six hours of it"
    )
    parser.add_argument(
        "--repair", action="store_true", help="make rows right that differ, from the tenant's true side; compare again"
    )
    parser.add_argument("--delete", action="store_true", help="with --repair: take rows away that nothing gives")
    parser.add_argument("--duty", type=_share, metavar="SHARE", help="share of the time spent working, above 0 up to 1")


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError("must be a time like 90s, 10m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return value
