"""A status report becomes rows of plain words, in groups: what every rendering of it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_MARKS = {"done": "x", "now": ">", "later": " "}
_SIDES = {"old": "on the old side", "switching": "between the sides", "new": "on the new side"}
_NAMED = 10  # as many tenants are shown by name
_FEW = 3  # as many conditions say one reason each for themselves


class Row(NamedTuple):
    """One line: a name, what is said of it, and how it is meant (good, bad, wait or plain)."""

    name: str
    said: str
    look: str = "plain"


class Section(NamedTuple):
    """Rows under a heading."""

    heading: str
    rows: tuple[Row, ...]


def view(report: Mapping[str, Any]) -> tuple[Section, ...]:
    """All sections that have something to say, in order."""
    found = (
        Section(str(report["migration"]), tuple(_phases(report))),
        Section("databases", tuple(_databases(report))),
        Section("backfills", tuple(_backfills(report))),
        Section("streams", tuple(_streams(report))),
        Section("reconciliations", tuple(_reconciliations(report))),
        Section("stages", tuple(_stages(report))),
        Section("dates", tuple(_dates(report))),
        Section("conditions", tuple(_conditions(report))),
        Section("standards", tuple(_standards(report))),
        Section("wrong", tuple(Row("", text, "bad") for text in report["wrong"])),
        Section("next", tuple(_next(report["next"]))),
    )
    return tuple(section for section in found if section.rows)


def _phases(report: Mapping[str, Any]) -> Iterator[Row]:
    for phase in report["phases"]:
        later = "" if phase["released"] else " (written once the flag permits it)"
        look = {"done": "good", "now": "good"}.get(phase["state"], "plain")
        yield Row(f"[{_MARKS[phase['state']]}] {phase['id']}", f"{phase['name']}{later}", look)
    if "dates" in report:
        yield Row("", "there is no database to ask: the flag in the file, the calendar and people know how far it is")


def _databases(report: Mapping[str, Any]) -> Iterator[Row]:
    """Where there are several."""
    for each in report.get("databases", ()):
        level = each["phase"] == report["phase"]
        stages = ", ".join(f"{stage} for {who}" for who, stage in each["stages"])
        said = f"at {each['phase'] or 'its beginning'}{f', {stages}' if stages else ''}"
        yield Row(each["name"], said, "good" if level else "wait")


def _backfills(report: Mapping[str, Any]) -> Iterator[Row]:
    for each in report["backfills"]:
        parts = [f"{each['progress']:.0%}", f"{each['rows_passed']:,} of {each['rows_planned']:,} rows"]
        parts += [f"{each['succeeded']:,} of {each['slices']:,} slices"]
        parts += [f"{each[state]:,} {state}" for state in ("running", "failed") if each[state]]
        if each["eta_seconds"]:
            parts.append(f"{each['rows_per_second']:,} rows/s, about {duration(each['eta_seconds'])} left")
        if report["quarantine"].get(each["name"]):
            parts.append(f"{report['quarantine'][each['name']]:,} rows set aside")
        look = "bad" if each["failed"] else "good" if each["succeeded"] == each["slices"] else "wait"
        yield Row(each["name"], ", ".join(parts), look)


def _streams(report: Mapping[str, Any]) -> Iterator[Row]:
    """Rows that go to another database and back."""
    for each in report.get("streams", ()):
        heard = each["heard_seconds"]
        runs = "its job hasn't run yet" if heard is None else f"its job was last heard of {duration(heard)} ago"
        sides = each["sides"]
        said = ", ".join(f"{_who(each, side)} {_SIDES[side]}" for side in _SIDES if side in sides)
        yield Row(each["stream"], f"{said or 'no tenants'}; {runs}", "wait" if heard is None else "good")
        for way in each["waiting"]:
            parts = [f"{way['events']:,} rows wait" + (f", for {way['lag_seconds']:.1f} s" if way["events"] else "")]
            parts += [f"{way['dead_letters']:,} can't be applied"] if way["dead_letters"] else []
            yield Row(f"{way['entity']} from the {way['from']} side", ", ".join(parts), _look(way))
        for side in _fewest(each):
            named = [tenant for tenant, its in each["tenants"].items() if its == side]
            if side != "switching" and 0 < len(named) <= _NAMED and len(sides) > 1:
                yield Row(f"{_SIDES[side]}", ", ".join(named))


def _who(stream: Mapping[str, Any], side: str) -> str:
    """How many tenants write on a side; where rows are nobody's own all do."""
    count = stream["sides"][side]
    return "everybody" if set(stream["tenants"]) == {""} else f"{count:,} tenant{'' if count == 1 else 's'}"


def _look(way: Mapping[str, Any]) -> str:
    return "bad" if way["dead_letters"] else "wait" if way["events"] else "good"


def _fewest(stream: Mapping[str, Any]) -> list[str]:
    """The side that few are on, whom one may want to see by name."""
    return sorted(stream["sides"], key=lambda side: int(stream["sides"][side]))[:1]


def _reconciliations(report: Mapping[str, Any]) -> Iterator[Row]:
    names = ("rows_mismatched", "rows_missing", "rows_extra", "tenants_unlisted", "old_writes")
    for each in report["reconciliations"]:
        if each["problems"] is None:
            yield Row(each["entity"], "not run yet", "wait")
            continue
        bad = each["problems"] or each["tenants_unlisted"]
        parts = [f"{name.replace('_', ' ')} {each[name]:,}" for name in names if each[name]]
        said = f"{each['problems']:,} problems" if bad else "clean"
        yield Row(
            each["entity"],
            ", ".join([f"{said} {duration(each['age_seconds'])} ago", *parts]),
            "bad" if bad else "good",
        )


def _stages(report: Mapping[str, Any]) -> Iterator[Row]:
    recorded, said = report["stages"]["recorded"], report["stages"]["file"]
    if "dates" in report:
        # Nothing records anything there: the file is all that there is.
        yield from (Row(who, f"{stage} (in the file)") for who, stage in said)
    yield from (Row(who, stage) for who, stage in recorded)
    if recorded and sorted(recorded) != sorted(said):
        yield Row("in the file", ", ".join(f"{stage} for {who}" for who, stage in said), "wait")


def _dates(report: Mapping[str, Any]) -> Iterator[Row]:
    """Of a migration without a database: the calendar, seen from today."""
    for each in report.get("dates", ()):
        days = abs(each["days"])
        count = f"{days} day{'' if days == 1 else 's'}"
        when = "today" if not days else f"in {count}" if each["days"] > 0 else f"{count} ago"
        yield Row(each["day"], f"{each['text']} ({when})", "plain" if each["days"] > 0 else "good")


def _conditions(report: Mapping[str, Any]) -> Iterator[Row]:
    """A line each; one for all databases that say the same, and what many are told is said once, above them."""
    shared = _shared(report["conditions"])
    yield from (Row("", reason, "wait") for reason in shared)
    found: dict[tuple[str, str, bool], list[str]] = {}
    for each in report["conditions"]:
        said = each["text"] if each["met"] or each["reason"] in shared else _unmet(each)
        names = found.setdefault((f"{each['phase']}/{each['id']}", said, each["met"]), [])
        names += [each["database"]] if "database" in each else []
    for (name, said, met), databases in found.items():
        where = f" ({', '.join(databases)})" if databases else ""
        yield Row(f"[{'x' if met else ' '}] {name}{where}", said, "good" if met else "wait")


def _unmet(condition: Mapping[str, Any]) -> str:
    """Why a condition doesn't hold, and when it may."""
    reason, until = condition["reason"], condition["until"]
    said = reason if condition["kind"] == "ledger" else f"{condition['text']} ({reason})"
    return f"{said}; at the earliest {until}" if until and until not in reason else str(said)


def _shared(conditions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The reasons that more than a few conditions of the ledger share: that it isn't there."""
    asked: dict[str, set[str]] = {}
    for each in conditions:
        if not each["met"] and each["kind"] == "ledger":
            asked.setdefault(each["reason"], set()).add(each["id"])
    return tuple(reason for reason, ids in asked.items() if len(ids) > _FEW)


def _standards(report: Mapping[str, Any]) -> Iterator[Row]:
    """The plan's modernization gates."""
    for each in report.get("standards", ()):
        if each["met"] is None:
            yield Row(f"[ ] {each['id']}", f"{each['text']} (people look at it: {each['met_by']})")
        else:
            said = each["text"] if each["met"] else f"{each['text']}: {each['reason']}"
            yield Row(f"[{'x' if each['met'] else ' '}] {each['id']}", said, "good" if each["met"] else "wait")


def _next(following: Mapping[str, Any]) -> Iterator[Row]:
    yield from (Row("waits for", text, "wait") for text in following["waits_for"])
    yield Row("then" if following["waits_for"] else "run", following["command"])
    if "back" in following:
        yield Row("or back", following["back"])


def duration(seconds: float) -> str:
    """`3700` → `1 h 1 min`: two units at most."""
    whole = int(seconds)
    units = ((whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    said = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(said[:2]) or "0 s"


def render(report: Mapping[str, Any]) -> str:
    """Plain text, the same everywhere; ends with a newline."""
    lines: list[str] = []
    for section in view(report):
        wide = max(len(row.name) for row in section.rows)
        lines += ["", section.heading] if lines else [section.heading]
        lines += [f"  {row.name:<{wide}}  {row.said}".rstrip() if wide else f"  {row.said}" for row in section.rows]
    return "".join(f"{line}\n" for line in lines)
