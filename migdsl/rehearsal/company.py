"""What every play has: the project that is rehearsed, the rows and those who write them, and where all that is seen is noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migdsl.executor.model import Project
from migdsl.executor.sites import Sites
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.journal import Journal
from migdsl.rehearsal.model import Log, Settings
from migdsl.rehearsal.rows import Maker, Tenancy
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.traffic import Traffic
from migdsl.semantics.model import CheckedModule


@dataclass(slots=True)
class Company:
    """`files`, `main`: the sources by name, and the main one's."""

    project: Project
    files: Mapping[str, str]
    main: str
    settings: Settings
    log: Log
    sites: Sites
    shapes: tuple[Shape, ...]
    journals: Mapping[str, Journal]
    tenants: Tenancy
    rules: Rules
    maker: Maker
    traffic: Traffic

    @property
    def module(self) -> CheckedModule:
        return self.project.planned.module
