"""A stage of the rollout becomes the flag file that a compile writes for it, and what code makes of that file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from migdsl.emit import observability
from migdsl.emit.context import EmitContext
from migdsl.executor.model import Project
from migdsl.rehearsal.model import Log
from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.fallback import Fallback
from migdsl.runtime.routing.flags import OpenFeature
from migdsl.semantics.model import STAGES, CheckedModule
from migdsl.values import Value, replace


class Flag(Value):
    """The flag file of a project."""

    project: Project
    log: Log

    def resolved(self, module: CheckedModule, said: Mapping[str, str]) -> Mapping[str, str]:
        """The stage that code finds for each tenant. Where somebody has edited the file, that one is what is deployed.

        Of a share of the tenants the file alone says who is in it. Raises RoutingError where nothing can tell.
        """
        path, name = self.project.planned.paths.flags, self.project.name
        there = self.project.texts.get(path)
        if there is None or not module.stages:
            return said
        edited = there != self._text(self.project.planned.module)
        text = there if edited else self._text(module)
        file = Path(self.project.folder, path)
        file.write_text(text, encoding="utf-8")
        try:
            found = Fallback.of_file(file, name)
            variants = json.loads(text)["flags"][name]["variants"]
        except (RoutingError, KeyError):
            self.log.against("flag", f"{path} can't be read as a staged flag", "", _WAY)
            return said
        if sorted(variants) != sorted(STAGES) or any(each != value for each, value in variants.items()):
            self.log.against("flag", f"{path} has other variants than the six stages", "", _WAY)
        shares = {line.stage for line in module.stages if line.scope == "percent"}
        named = {tenant for line in module.stages for tenant in line.tenants}
        resolved = _provided(file, name, said) if shares else {t: found.stage(t) or "off" for t in said}
        for tenant in [t for t in said if resolved[t] not in {said[t], *(() if t in named else shares)}][:1]:
            what = f"{path} says {resolved[tenant]}, and the rollout stands at {said[tenant]}"
            self.log.against("flag", what, "", _WAY)
        if not shares:
            self.log.saw("flag", f"{len(said)} tenants at {', '.join(sorted(set(said.values())))}")
        return resolved

    def _text(self, module: CheckedModule) -> str:
        context = EmitContext(replace(self.project.planned, module=module), self.project.file.rsplit("/", 1)[-1])
        path = self.project.planned.paths.flags
        return next(a.text for a in observability.emit_flags(context) if a.path == path)


def _provided(file: Path, flag: str, tenants: Iterable[str]) -> dict[str, str]:
    """What applications make of the file, by flagd's provider; `off` where it gives no stage. Raises RoutingError."""
    service = OpenFeature.flagd_file(file, poll_seconds=3600)

    def stage(tenant: str) -> str:
        try:
            return service.variant(flag, tenant)
        except Exception:  # noqa: BLE001 (whatever a provider raises: it gives no stage)
            return "off"

    return {tenant: stage(tenant) for tenant in tenants}


_WAY = "compile again, and move the flag with `migdsl rollout`: code that goes by this file is ahead of the database"


def skipping(log: Log, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """No tenant may skip a stage: in between, some processes read what others don't write yet."""
    for tenant, stage in now.items():
        was = before.get(tenant, stage)
        if abs(STAGES.index(stage) - STAGES.index(was)) > 1:
            log.against("flag", f"the flag skips from {was} to {stage}", "", "move it one stage at a time")
            return
