"""The databases of a migration become what a walk moves together: each has its chain, its ledger and its part of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migdsl.executor.chain import Chain
from migdsl.executor.ledger import Event, Ledger, Turn
from migdsl.executor.model import Condition, Project, Refused
from migdsl.executor.position import Position, position
from migdsl.runtime.stop import Signals
from migdsl.values import Value, replace


class Site(Value):
    """One database. `project` is the part of the migration that happens there; `listing` is the connection string of the
    database that has the list of tenants, None where it is this one; `others` are those of all that the migration changes,
    by the variables that the file names."""

    name: str
    project: Project
    ledger: Ledger
    chain: Chain
    listing: str | None
    others: Mapping[str, str]


class Now(Value):
    """Where a migration is in each of its databases."""

    places: tuple[Position, ...]

    def index(self, project: Project) -> int:
        """The place of the last phase that is done everywhere, -1 where none is."""
        done = frozenset.intersection(*(each.done for each in self.places))
        return max((n for n, phase in enumerate(project.phases) if phase in done), default=-1)

    def farthest(self, project: Project) -> int:
        """The place of the last phase of which something has been done anywhere."""
        ran = [
            n for n, phase in enumerate(project.phases) for each in self.places if phase in each.applied | each.broken
        ]
        return max([self.index(project), *ran])

    def reached(self, project: Project) -> str | None:
        """The last phase that is done everywhere."""
        at = self.index(project)
        return project.phases[at] if at >= 0 else None


class Ledgers:
    """The ledgers of all databases as one: what a walk does is written into each, and each is asked about its own."""

    def __init__(self, ledgers: Mapping[str, Ledger]) -> None:
        self._ledgers = ledgers
        self._home = next(iter(ledgers.values()))
        self.migration = self._home.migration

    @property
    def there(self) -> bool:
        """Whether every database has its ledger."""
        return all(each.there for each in self._ledgers.values())

    def unmet(self, condition: Condition) -> str | None:
        """Why a condition of a ledger doesn't hold, None where it does."""
        return self._ledgers.get(condition.database, self._home).unmet(condition)

    def newest(self) -> Mapping[tuple[str, str], Event]:
        """The newest event of each kind and subject in the first database: walks and confirmations are in each."""
        return self._home.newest()

    def record(self, kind: str, subject: str, value: str) -> None:
        """Append an event everywhere; a ledger that isn't there yet gets it later."""
        for each in self._ledgers.values():
            each.record(kind, subject, value)

    @property
    def stopped(self) -> bool:
        """Whether a signal has asked for a stop."""
        return self._home.signals.requested

    def paused(self, seconds: float) -> None:
        """Sleep, and raise StoppedError where a signal came."""
        self._home.paused(seconds)


class Sites:
    """All databases of a migration, in their order. `close` gives back what `open` has taken."""

    def __init__(self, project: Project, sites: Iterable[Site]) -> None:
        self.all = tuple(sites)
        self.project = project
        self.ledgers = Ledgers({site.name: site.ledger for site in self.all})
        self._turns: list[Turn] = []

    @classmethod
    def of(
        cls,
        project: Project,
        urls: Mapping[str, str],
        inis: Mapping[str, tuple[str, str]],
        signals: Signals,
        run: str | None = None,
    ) -> Sites:
        """Their sites by their URLs, and the alembic.ini files of a project's own, each with its section. `urls` may know a
        database more: that of the tenants' list."""
        several = len(project.planned.lowered.databases) > 1
        found: list[Site] = []
        others: dict[str, str] = {}
        for name in project.planned.lowered.databases:
            part = replace(project, planned=project.planned.of(name)) if several else project
            ledger = Ledger(project.name, urls[name], signals, run)
            run = ledger.run
            others[project.planned.module.database(name).url_env] = ledger.conninfo
            chain = Chain(part, ledger.conninfo, *inis.get(name, (None,)))
            found.append(Site(name, part, ledger, chain, _listing(part, urls), others))
        return cls(project, found)

    def open(self) -> None:
        """Connect to each. Raises DatabaseFailedError, without the password."""
        for site in self.all:
            site.ledger.open()

    def proven(self) -> None:
        """As `Chain.proven`, of each."""
        for site in self.all:
            site.chain.proven()

    def take_turn(self) -> None:
        """Nobody else moves this migration until `close`, in none of its databases. Raises Refused."""
        for site in self.all:
            turn = Turn(site.ledger)
            self._turns.append(turn)
            if not turn.taken():
                why = f"another process is moving {self.project.name} already"
                raise Refused("MIG740", why, f"migdsl status {self.project.named}")

    def close(self) -> None:
        for turn in self._turns:
            turn.release()
        for site in self.all:
            site.ledger.close()

    def site(self, name: str) -> Site:
        """The database of that name; the first one where it isn't said."""
        return next((each for each in self.all if each.name == name), self.all[0])

    def now(self) -> Now:
        """Look at each; nothing is written."""
        shared = frozenset(revision.phase for revision in self.project.planned.revisions)
        found = (position(site.project, site.ledger, site.chain.standing(), shared) for site in self.all)
        return Now(tuple(found))


def _listing(part: Project, urls: Mapping[str, str]) -> str | None:
    module = part.planned.module
    found = (module.listed_in(plan.table) for plan in part.planned.lowered.tables if plan.table.owned)
    return next((urls.get(database.name) for database in found if database is not None), None)
