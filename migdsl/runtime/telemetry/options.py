"""Turns a job's command line and environment into where its metrics go, how it logs, and its correlation id."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import socket
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from migdsl.runtime.telemetry.logline import FORMATS, LogFormat

_RUN: Final = re.compile(r"[A-Za-z0-9._:/-]{1,40}")
_VARIABLE: Final = "MIGDSL_CORRELATION_ID"
_LOOPBACK: Final = "127.0.0.1"
# PostgreSQL keeps 63 bytes of an application_name.
_NAME_BYTES: Final = 63
# As often as Prometheus scrapes where it is told nothing else: what a job says last is what alerts go by.
_LINGER_S: Final = 60.0


def new_run() -> str:
    """A correlation id for a process that was given none."""
    return secrets.token_hex(6)


def given_run() -> str:
    """The correlation id that the environment gives, and a new one where it gives none, or none that will do."""
    given = os.environ.get(_VARIABLE, "")
    return given if _RUN.fullmatch(given) else new_run()


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What was asked for. `run` is the correlation id, in every log line and in PostgreSQL's application_name.

    `listen` is the address of the scrape endpoint, `linger_s` how long it may stay open after the end until it was read
    once more. `instance` names this process at the Pushgateway.
    """

    run: str = field(default_factory=new_run)
    log_format: LogFormat = "logfmt"
    textfile: str | None = None
    listen: tuple[str, int] | None = None
    linger_s: float = 0.0
    pushgateway: str | None = None
    instance: str = field(default_factory=socket.gethostname)

    @property
    def exports(self) -> bool:
        """Whether metrics go anywhere."""
        return self.textfile is not None or self.listen is not None or self.pushgateway is not None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where metrics go and how lines look; most can be said by the environment, for all jobs at once."""
    parser.add_argument("--metrics", metavar="FILE", help="write Prometheus metrics to this textfile")
    parser.add_argument(
        "--metrics-port",
        type=_address,
        metavar="[HOST:]PORT",
        help=f"serve /metrics for Prometheus here (host {_LOOPBACK} unless said; port 0: any, the log says which)",
    )
    parser.add_argument(
        "--metrics-linger",
        type=_seconds,
        default=_LINGER_S,
        metavar="S",
        help="after the end, keep /metrics open until it was read once more, at most S seconds "
        f"(default {_LINGER_S:g})",
    )
    parser.add_argument(
        "--pushgateway",
        type=_http,
        default=os.environ.get("MIGDSL_PUSHGATEWAY") or None,
        metavar="URL",
        help="push metrics to this Pushgateway (environment: MIGDSL_PUSHGATEWAY)",
    )
    parser.add_argument("--instance", metavar="NAME", help="this process's name at the Pushgateway (default: the host)")
    parser.add_argument(
        "--log-format",
        type=_form,
        default=os.environ.get("MIGDSL_LOG_FORMAT") or "logfmt",
        metavar="{logfmt,json}",
        help="how log lines look (environment: MIGDSL_LOG_FORMAT)",
    )
    parser.add_argument(
        "--correlation-id",
        type=_run,
        default=os.environ.get(_VARIABLE) or None,
        metavar="ID",
        help="what log lines and application_name carry as `run` (environment: MIGDSL_CORRELATION_ID)",
    )


def chosen(options: argparse.Namespace) -> Telemetry:
    """What the options of `add_options` ask for."""
    return Telemetry(
        run=options.correlation_id or new_run(),
        log_format=options.log_format,
        textfile=options.metrics,
        listen=options.metrics_port,
        linger_s=options.metrics_linger,
        pushgateway=options.pushgateway,
        instance=options.instance or socket.gethostname(),
    )


def application_name(migration: str, subject: str, run: str) -> str:
    """`migdsl MIGRATION SUBJECT RUN` in PostgreSQL's 63 bytes of ASCII; where it is too long, the names are cut."""
    # A server shows other characters as escapes or question marks, and their length would push the run out.
    names = f"migdsl {migration} {subject}".encode("ascii", "replace").decode("ascii")
    return f"{names[: _NAME_BYTES - len(run) - 1]} {run}"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError("must be PORT or HOST:PORT")
    return host.strip("[]") or _LOOPBACK, int(port)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be from 0 to 3600")
    return value


def _http(text: str) -> str:
    # The address may hold a password, so no message quotes it.
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError("must be an address like http://pushgateway:9091")
    return text


def _form(text: str) -> LogFormat:
    for form in FORMATS:
        if text == form:
            return form
    raise argparse.ArgumentTypeError(f"must be {' or '.join(FORMATS)}")


def _run(text: str) -> str:
    if not _RUN.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1 to 40 letters, digits and . _ : / -")
    return text
