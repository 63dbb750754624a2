"""Streams between two databases become their part of a plan: what runs beside revisions, and how tenants turn over."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops import debezium
from migdsl.ops.model import Lowered
from migdsl.plan.model import Check, ModernizationGate
from migdsl.plan.phases import ExitCondition
from migdsl.planning import copies
from migdsl.planning.beside import Beside
from migdsl.planning.paths import Paths
from migdsl.planning.streams import Stream, streams, texts_of_key
from migdsl.planning.words import agreeing, duration, first_upper, listed
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.phrases import placed
from migdsl.values import Value

_READ_FROM = {
    "logical": "triggers and a replication slot note the keys of what is written",
    "debezium": "triggers note the keys of what is written, for the sync job and for Debezium's router",
}
_NOTED = "triggers note the keys of what is written in an outbox"


class Told(Value):
    """A step of a phase that no revision does: its operation, sentence, file, and the table that it is about."""

    operation: str
    title: str
    path: str | None
    cost: str = "instant"


def beside(module: CheckedModule, lowered: Lowered, paths: Paths) -> Iterator[Beside]:
    """What each stream gives to the plan's sections."""
    for stream in streams(lowered.tables):
        yield _beside(module, paths, stream)


def _beside(module: CheckedModule, paths: Paths, stream: Stream) -> Beside:
    job, entities, lag = paths.sync(stream.table), listed(list(stream.entities)), duration(stream.lag_s)
    old, new, either = called(stream, "old"), called(stream, "new"), listed(list(stream.entities), "or")
    owned = stream.table.owned
    whose, a_tenant, them = ("{}'s rows", "a tenant's ", "a tenant is") if owned else ("the rows", "", "they are")
    return Beside(
        subject=f"the stream {stream.name}",
        summary="",
        category="service_extraction",
        pattern=f"{'change data capture' if stream.by == 'cdc' else stream.by} with a fenced switch",
        truth=f"{first_upper(whose.format('each tenant'))} of {entities} are written on one side at a time: in {old} until "
        f"{'its' if owned else 'their'} switch, then in {new}.",
        systems=(f"the sync job of {entities}, which connects to {stream.old} and {stream.new}", *_kafka(stream)),
        strategy=tuple(_strategy(stream, entities)),
        constraints=(f"Rows of {entities} are at most {lag} behind on the other side before {them} switched",),
        exits=(*copies.exits(module, stream), *_exits(stream)),
        code=(("cutover", _code(paths, stream, entities)),),
        approach=f"{first_upper(a_tenant)}{'r' if owned else 'R'}eads of {entities} move first, with the flag; then "
        f"{'its writes' if owned else 'all writes at once'}, by {_switch(job, stream, 'new')}.",
        manual=tuple(copies.manual(module, stream)),
        aborts=(
            f"A row of {either} becomes a dead letter, or waits for more than {lag}",
            f"Switches of {stream.name} are refused, or hold {a_tenant}writers up for seconds",
        ),
        downtime=f"While {a_tenant}writes of {entities} turn over nobody writes them: for some 50 ms, and a switch that takes "
        "longer than 5 seconds is taken back.",
        reconciliation=(
            f"python {job} status shows 0 dead letters and nothing that waits, before {entities} are compared",
        ),
        checks=(_check(job, stream, either), *copies.checks(module, stream, job)),
        metrics=("migdsl_sync_lag_seconds", "migdsl_sync_events_waiting", "migdsl_sync_dead_letters"),
        risks=(*_risks(stream, old, new), *copies.risks(module, stream)),
        complexity="moderate",
        gates=(_replayed(job, stream, entities),),
        rules=(f"The sync job of {entities} reaches rows by the keys that it was given, in {old} and in {new} alone",),
        before=(*_before(module, paths, stream), *copies.before(module, stream)),
        stages=_stages(job, stream, entities),
        watched=f"`python {job} status`: who writes {entities} where, what waits, and rows that can't be applied.",
    )


def _strategy(stream: Stream, entities: str) -> Iterator[str]:
    yield (
        f"On both sides {_READ_FROM.get(stream.variant or '', _NOTED)}; the sync job reads those rows of {entities} again "
        "and puts them in place on the other one, deletes what is gone, and only then forgets the keys: what comes twice, or "
        "late, is what the row is now."
    )
    if stream.by == "application":
        yield (
            f"The application writes its rows of {entities} on one side, through the generated module, which does what the sync "
            "job does before it answers: nothing is behind then. What a crash or a silent database leaves in the outbox is the "
            "sync job's."
        )
    lets = "a tenant write its rows of" if stream.table.owned else "everybody write the rows of"
    yield (
        f"A fence in {stream.old} and {stream.new} lets {lets} {entities} in one of the two only; the switch "
        "carries over what is left and turns it round, and back the same way."
    )


def _code(paths: Paths, stream: Stream, entities: str) -> str:
    if stream.by == "application":
        whose = "each tenant's side" if stream.table.owned else "the side"
        return f"Code that writes {entities} through {paths.dual_writes(stream.table)}, which finds {whose} itself"
    return f"Code that goes across with its writes of {entities} when the fence of {stream.name} says so"


def _check(job: str, stream: Stream, either: str) -> Check:
    return Check(
        id=f"{stream.name}.sides",
        kind="constraint",
        entity=stream.entities[0],
        text=f"{'No tenant' if stream.table.owned else 'Nobody'} may write rows of {either} on both sides: {stream.old} and "
        f"{stream.new} each refuse what isn't theirs",
        artifact=job,
        threshold="= 0",
    )


def _replayed(job: str, stream: Stream, entities: str) -> ModernizationGate:
    return ModernizationGate(
        id=f"replay.stream.{stream.name}",
        text=f"What the sync job of {entities} has carried can be carried again without effect",
        met_by=f"{job} writes rows as they are now, and touches none that is right",
        checks=(f"{stream.name}.sides",),
    )


def _stages(job: str, stream: Stream, entities: str) -> str:
    who, whose, its = ("--tenant ID ", "a tenant's", "its") if stream.table.owned else ("", "the", "the")
    return (
        f"For {entities}, dualwrite and shadow change nothing of who writes: it is the old side until {whose} stage is live "
        f"and {its} writes have been turned over (`python {job} switch {who}--to new`, or `rollout --record` for all whom the "
        f"flag takes in); `switch {who}--to old` turns them back. Before readers change sides, there or back, nothing may have "
        f"waited for long (`python {job} status`): they would miss it. `rollout --url` looks."
    )


def called(stream: Stream, side: str) -> str:
    """The tables of a side, as people call them."""
    return listed([placed(m.table if side == "old" else m.target) for m in stream.moves])


def _switch(job: str, stream: Stream, to: str) -> str:
    tenant = "--tenant ID " if stream.table.owned else ""
    return f"python {job} switch {tenant}--to {to}"


def _kafka(stream: Stream) -> tuple[str, ...]:
    if stream.variant != "debezium":
        return ()
    topics = listed([debezium.topic(entity) for entity in stream.entities])
    return (f"Kafka Connect, whose connector reads the outboxes of {stream.old} into {topics}",)


def _exits(stream: Stream) -> Iterator[tuple[str, ExitCondition]]:
    for moved in stream.moved:
        text = f"What is written to {moved.entity} is at most {duration(stream.lag_s)} behind on the other side"
        lag = f"<= {stream.lag_s:g}s"
        letters = f"No row of {moved.entity} is a dead letter"
        for phase in ("backfill", "validate"):
            yield phase, ExitCondition(id="sync_lag", text=text, kind="metric", metric="sync_lag", threshold=lag)
            yield phase, ExitCondition(
                id="dead_letters", text=letters, kind="metric", metric="dead_letters", threshold="= 0"
            )


def _risks(stream: Stream, old: str, new: str) -> Iterator[str]:
    entities, either = listed(list(stream.entities)), listed(list(stream.entities), "or")
    yield (
        f"A row of {either} that {stream.new} refuses (a value that is too long, a check, an expression that fails) waits "
        f"as a dead letter, by its key, and keeps {'its tenant' if stream.table.owned else 'all'} from being switched; the "
        "others go on."
    )
    yield (
        f"Who reads {new} while {'a tenant is' if stream.table.owned else 'rows are'} still written in {old} doesn't see the "
        f"writes of the last moment, at most {duration(stream.lag_s)}: what was just written is read where it was written."
    )
    past = " that goes past the generated module" if stream.by == "application" else " that goes to the wrong side"
    yield (
        f"An UPDATE or DELETE of {either} that meets no row is no trigger's to refuse: code{past} "
        "changes nothing "
        "there, and isn't told."
    )
    yield (
        f"After a failover of {stream.old} or {stream.new} to a replica that was behind, keys may be missing from the outbox: "
        f"reconcile {entities} then, with --repair."
    )
    if stream.by == "cdc":
        reader = "the sync job" if stream.variant == "logical" else "the connector"
        yield (
            f"The replication slot of {entities} keeps all WAL of {stream.old} that {reader} hasn't looked at: one "
            "that stands "
            "still fills the disk; set max_slot_wal_keep_size."
        )


def _before(module: CheckedModule, paths: Paths, stream: Stream) -> Iterator[str]:
    job, entities = paths.sync(stream.table), listed(list(stream.entities))
    urls = f"`{module.database(stream.old).url_env}` and `{module.database(stream.new).url_env}`"
    yield (
        f"`{job}` runs as a service where it reaches {urls}, from backfill to contract; two processes on two machines are "
        "fine. Its "
        f"roles may read and write {entities}, the schema `migdsl` and temporary tables on both sides."
    )
    if stream.by == "application":
        module_path = paths.dual_writes(stream.table)
        yield (
            f"Processes that write {entities} import `{module_path}`, whose first lines say which rights their role needs, and "
            f"have {urls} too: its second writes connect there. With all code on it, the sync job may be run by a clock instead "
            f"(`python {job} once --by-clock`, each minute)."
        )
    for moved in stream.moves:
        if columns := texts_of_key(moved.table):
            yield (
                f"Texts of {moved.table.entity}'s key ({listed(list(columns))}) are sorted alike in {stream.old} and "
                f"{stream.new}: both have one collation (`\\l` in psql shows it). Batches and reconciliation go by "
                "ranges of keys; the reconciliation refuses where the order differs."
            )
    if stream.by == "cdc":
        yield (
            f"The server of {stream.old} has `wal_level = logical`"
            + (", and the sync job's role there `REPLICATION`." if stream.variant == "logical" else ".")
        )
        yield (
            f"The role that runs the contract revision of {stream.old} has `REPLICATION` too, as it drops the slot at its end; "
            "without it the revision refuses there, and says what another role may run."
        )
    if stream.variant == "debezium":
        yield from _worker(module, stream)


def _worker(module: CheckedModule, stream: Stream) -> Iterator[str]:
    """What Kafka Connect needs."""
    yield "`KAFKA_CONNECT_URL` is where Kafka Connect answers, for who posts the connector and deletes it."
    *some, last = (f"`{name}`" for name in debezium.variables(module.database(stream.old).url_env))
    yield (
        f"Kafka Connect has Debezium's connector for PostgreSQL, 2.6 or newer. Its workers have {', '.join(some)} and {last} in "
        "their environment, of a role with `LOGIN` and `REPLICATION` and no other right, and may read them: "
        f"`config.providers=env`, `config.providers.env.class={debezium.PROVIDER}`."
    )


def steps(paths: Paths, stream: Stream, phase: str) -> Iterator[Told]:
    """What is done for a stream in a phase, beside revisions and the jobs of its entities."""
    job, entities = paths.sync(stream.table), listed(list(stream.entities))
    old, new = called(stream, "old"), called(stream, "new")
    if phase == "expand":
        if stream.variant == "logical":
            title = (
                f"Make the replication slot that writes to {old} are read from; the backfill of {entities} waits for it"
            )
            yield Told("create_slot", title, job)
        if stream.variant == "debezium":
            topics = listed([debezium.topic(entity) for entity in stream.entities])
            title = f"Post the connector to Kafka Connect: it reads {topics} from the outbox; the backfill waits for its slot"
            yield Told("post_connector", title, paths.cdc(stream.table))
    elif phase == "backfill":
        title = f"Start the sync job of {entities}: until contract it carries what is written to {old} over to {new}, and back"
        yield Told("run_sync_job", title, job)
    elif phase == "cutover":
        title = f"Right after everybody's move to live, below, turn all writes from {old} to {new}: they wait for some 50 ms"
        if stream.table.owned:
            title = (
                f"Right after each move below turn the writes of its tenants from {old} to {new}, one tenant after another: each "
                "waits for some 50 ms"
            )
        yield Told("switch", title, job)
    elif phase == "contract":
        title = f"End the sync job of {entities}, where it hasn't ended by itself: it has nothing to carry any more"
        yield Told("end_sync_job", title, job)


def late(paths: Paths, stream: Stream, phase: str) -> Iterator[Told]:
    """The same, behind the jobs of a phase; in contract before its revisions."""
    job, entities = paths.sync(stream.table), listed(list(stream.entities))
    old, new = called(stream, "old"), called(stream, "new")
    if phase == "backfill":
        has = agreeing(len(stream.entities), "has", "have")
        yield Told("drain", f"Carry over what waits of {entities}, until {new} {has} all rows of {old}", job)
        if stream.numbered:
            title = (
                f"Set apart the keys that {stream.old} and {stream.new} give out for {entities}, before anybody writes in "
                f"{stream.new}: no key is given out twice"
            )
            yield Told("set_sequences", title, job)
    elif phase == "contract":
        yield Told("drain", f"Carry over the last that waits of {entities}; its sync job goes on", job)
        if stream.variant == "debezium":
            title = (
                f"Once the conditions above hold, delete the connector of {entities} in Kafka Connect: the revision refuses "
                "while it reads, and drops its slot"
            )
            yield Told("delete_connector", title, paths.cdc(stream.table))


def ahead(paths: Paths, stream: Stream, phase: str) -> tuple[str, ...]:
    """Commands of the way back out of a phase that come before the flag: readers go where all that was written is by then."""
    if phase != "cutover":
        return ()
    run, old = f"python {paths.sync(stream.table)}", called(stream, "old")
    return (
        f"# who reads {old} again must find all that was written to {called(stream, 'new')}: where this says that it waits,",
        f"# readers stay until drain has ended with 0 (is the sync job of {listed(list(stream.entities))} running?)",
        f"{run} status",
        f"{run} drain",
    )


def back(paths: Paths, stream: Stream, phase: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Commands of the way back out of a phase: before its revisions go, and after."""
    run, entities = f"python {paths.sync(stream.table)}", listed(list(stream.entities))
    everybody = "switch --all" if stream.table.owned else "switch"
    slot = stream.variant == "logical"
    if phase == "cutover":
        return (f"{run} {everybody} --to old",), ()
    if phase == "expand":
        dropped = (f"{run} slot --drop",) if slot else _connector(paths, stream, "contract")
        return (f"{run} {everybody} --to old", f"{run} drain", f"# end the sync job of {entities}", *dropped), ()
    if phase == "contract":
        made = (f"{run} slot --create",) if slot else _connector(paths, stream, "expand")
        again = tuple(f"python {paths.backfill(m.table)}" for m in stream.moves)
        return (), (
            *made,
            f"{run} run &  # the sync job of {entities} again, as a service",
            *again,
            f"{run} {everybody} --to new",
            f"{run} drain",
        )
    return (), ()


def connector(paths: Paths, stream: Stream, phase: str) -> tuple[str, str]:
    """What becomes of Debezium's connector in expand or contract, and the command."""
    entities = listed(list(stream.entities))
    if phase == "expand":
        return f"Kafka Connect takes the connector of {entities}", debezium.creation(paths.cdc(stream.table))
    return f"Kafka Connect lets go of the connector of {entities}", debezium.deletion(stream.moved[0])


def _connector(paths: Paths, stream: Stream, phase: str) -> tuple[str, ...]:
    return (connector(paths, stream, phase)[1],) if stream.variant == "debezium" else ()


def kept(stream: Stream, phase: str) -> str:
    """What the way back out of a phase keeps."""
    old, new = called(stream, "old"), called(stream, "new")
    if phase == "cutover":
        who = "each tenant is" if stream.table.owned else "all writers are"
        return f"the sync job has carried each write to {new} home to {old}, and {who} turned back before"
    if phase == "contract":
        new_ones = (
            " (those that came after contract are refused there until their switch)" if stream.table.owned else ""
        )
        return (
            f"{old}: made again with all that stood there, empty; the rows come home from {new} by the sync job, and "
            f"{'tenants go' if stream.table.owned else 'code goes'} on writing in {stream.new} meanwhile{new_ones}"
        )
    return f"the rows that were carried to {new} stay there and do no harm"


def turn(paths: Paths, stream: Stream, tenants: tuple[str, ...], file: str) -> str:
    """How the writes of those are turned over whom a step of the rollout takes in."""
    if not tenants:
        return f"turn {'their' if stream.table.owned else 'all'} writes over with migdsl rollout {file} --record"
    said = " ".join(f"--tenant {tenant}" for tenant in tenants)
    return f"turn its writes over with python {paths.sync(stream.table)} switch {said} --to new"
