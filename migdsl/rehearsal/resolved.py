"""Lines of a rollout become the flag file that a compile writes for them, and what flagd's own provider makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from migdsl.emit import observability
from migdsl.emit.context import EmitContext
from migdsl.executor.model import Project
from migdsl.rehearsal.model import Log, Undoable
from migdsl.runtime.routing import OpenFeature
from migdsl.runtime.routing.errors import RoutingError
from migdsl.semantics.model import STAGES, CheckedModule, StageLine
from migdsl.values import replace

Resolver = Callable[[str], str]
_WAY = "compile again, and move the flag with `migdsl rollout`: code that goes by this file is sent elsewhere than the file says"


class Deployed:
    """The flag of a project, as applications read it. `standing` is what the rollout says by now."""

    def __init__(self, project: Project, log: Log, module: CheckedModule) -> None:
        self._project, self._log, self._module = project, log, module
        self._path = project.planned.paths.flags
        self.standing: tuple[StageLine, ...] = ()
        self.service: OpenFeature | None = None

    def at(self, *lines: tuple[str, str, str | None]) -> Resolver:
        """The flag at these lines, each a scope, a stage and a percentage. Raises Undoable where nothing can read it."""
        self.standing = tuple(StageLine(scope, stage, percent, ()) for scope, stage, percent in lines)
        there = self._project.texts.get(self._path)
        module = replace(self._module, stages=self.standing)
        # Where somebody has edited the file, that one is what is deployed.
        text = self._text(module) if there in (None, self._text(self._module)) else str(there)
        file = Path(self._project.folder, self._path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self._staged(text)
        try:
            self.service = OpenFeature.flagd_file(file, poll_seconds=3600)
        except RoutingError as error:
            raise Undoable(str(error), "pip install 'migdsl[rehearse]'") from None
        return self.stage

    def stage(self, subject: str) -> str:
        """The stage that an application finds; `off` where there is none."""
        assert self.service is not None
        try:
            found = self.service.variant(self._project.name, subject)
        except Exception as error:  # noqa: BLE001 (whatever a provider raises)
            self._log.against("flag", f"the flag gives no stage: {type(error).__name__}", self._path, _WAY)
            return "off"
        return found

    def check(self, named: Mapping[str, str], anybody: Iterable[str]) -> dict[str, str]:
        """The stage of each; against the flag where those that are named (by who: its stage) or a share find another."""
        for subject, stage in named.items():
            at = self.stage(subject)
            if at != stage:
                self._log.against("flag", f"{self._path} says {at} where the rollout says {stage}", "", _WAY)
                break
        found = {subject: self.stage(subject) for subject in anybody}
        for stage, share in self._shares().items():
            self._share(stage, share, found)
        self._log.saw("flag", f"{len(found) + len(named)} of {', '.join(sorted({*found.values(), *named.values()}))}")
        return found

    def _shares(self) -> dict[str, float]:
        """Stage → the share of all that is in it, of those who aren't named."""
        rest = next((line.stage for line in self.standing if line.scope == "all"), "off")
        found: dict[str, float] = {}
        for line in (line for line in self.standing if line.scope == "percent"):
            found[line.stage] = found.get(line.stage, 0.0) + float(line.percent or 0)
        return {**found, rest: found.get(rest, 0.0) + 100 - sum(found.values())}

    def _share(self, stage: str, percent: float, found: Mapping[str, str]) -> None:
        """Hashes are no dice, but spread as widely: six standard deviations accuse nobody."""
        count, all_, share = sum(at == stage for at in found.values()), len(found), percent / 100
        spread = 6 * (all_ * share * (1 - share)) ** 0.5
        if abs(count - all_ * share) > spread:
            told = f"{self._path} puts {count} of {all_} at {stage}, and the rollout says {percent:g}%"
            self._log.against("flag", told, "", _WAY)

    def _staged(self, text: str) -> None:
        name = self._project.name
        try:
            variants = json.loads(text)["flags"][name]["variants"]
        except (ValueError, KeyError, TypeError):
            self._log.against("flag", f"{self._path} has no staged flag {name}", "", _WAY)
            return
        if sorted(variants) != sorted(STAGES) or any(each != value for each, value in variants.items()):
            self._log.against("flag", f"{self._path} has other variants than the six stages", "", _WAY)

    def _text(self, module: CheckedModule) -> str:
        planned = replace(self._project.planned, module=module)
        context = EmitContext(planned, self._project.file.rsplit("/", 1)[-1])
        return next((a.text for a in observability.emit_flags(context) if a.path == self._path), "")
