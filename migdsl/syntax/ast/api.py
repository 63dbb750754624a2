"""An HTTP API from one version to the next, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Text
from migdsl.values import Value


class ApiVersion(Value):
    """`version v2 at "/api/v2" replaces v1`."""

    name: Name
    at: Text | None
    replaces: Name | None
    span: Span


class ApiDate(Value):
    """`deprecate v1 on 2026-12-15`, `sunset v1 on 2027-03-01`: `key` is the word."""

    key: str
    version: Name
    date: Number
    span: Span


class Api(Value):
    """An API and what becomes of its versions. Settings: strategy, route, breaking, announce, grace, guide."""

    name: Name
    settings: tuple[Setting, ...]
    versions: tuple[ApiVersion, ...]
    dates: tuple[ApiDate, ...]
    allows: tuple[Allow, ...]
    span: Span
