"""`service` and `replace` become checked services and replacements, and a replacement's ramp the rollout's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.diagnostics import fixes
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics import watch
from migdsl.semantics.commands import CommandError, words
from migdsl.semantics.header import again, bad_number, once
from migdsl.semantics.model import Tenants
from migdsl.semantics.problems import Problems
from migdsl.semantics.replacement import CANARY, DEFAULT_SOAK, DEFAULT_WITHIN, KINDS, Replacement, Service, Verify
from migdsl.source import Span
from migdsl.syntax import ast, lexis

_ROUTE = re.compile(r"/|(/([A-Za-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]*\}))+")
_PARAMETER = re.compile(r"\{[^{}]*\}")
_LONGEST = 86_400
# What each needs, with a line to write.
_NEEDED = {
    "kind": "kind dependency",
    "old": 'old "Python 3.9"',
    "new": 'new "Python 3.13"',
    "rollback_by": 'rollback "redeploy the previous image"',
}


def services(problems: Problems, nodes: list[ast.Service]) -> tuple[Service, ...]:
    """The services, by their first declaration."""
    found: dict[str, Service] = {}
    for node in nodes:
        once(problems, node.settings, "service")
        name = node.name.text
        if name in found:
            more = [(found[name].span, "the first one")]
            problems.error("MIG104", node.name.span, f"two services are called `{name}`", "the second one", more=more)
            continue
        owner = next((" ".join(s.texts[0].value.split()) for s in node.settings), None)
        found[name] = Service(name, owner, node.name.span)
    return tuple(found.values())


def named(problems: Problems, names: tuple[ast.Name, ...], known: tuple[Service, ...]) -> tuple[str, ...]:
    """Who is affected: services, and in quotes whatever else there is."""
    declared = {service.name for service in known}
    for name in names:
        if not name.quoted and name.text not in declared:
            _unknown(problems, name, declared)
    return tuple(dict.fromkeys(name.text for name in names))


def _unknown(problems: Problems, name: ast.Name, declared: set[str]) -> None:
    if name.text in problems.broken:  # its declaration is there, and can't be read
        return
    if did_you_mean(name.text, sorted(declared)):
        problems.unknown("MIG125", "service", name.text, name.span, declared)
        return
    fix = fixes.replacing(name.span, f'"{name.text}"', f"`{name.text}` is no service of this file", safe=False)
    title = f"there is no service `{name.text}`"
    quoted = f'or put it in quotes, where it is no service: "{name.text}"'
    help_ = f'declare it: service {name.text} {{ owner "…" }}; {quoted}'
    problems.error("MIG125", name.span, title, "not declared", help=help_, fix=fix)


def owner_of(problems: Problems, node: ast.Database, known: tuple[Service, ...]) -> str | None:
    """The service that owns a database."""
    for second in node.services[1:]:
        again(problems, second.span, node.services[0].span, "service", f"the database {node.name.text}")
    for name in node.services[:1]:
        if name.text in {service.name for service in known}:
            return name.text
        problems.unknown("MIG125", "service", name.text, name.span, [service.name for service in known])
    return None


def ramped(
    nodes: list[ast.Replace], cutovers: list[ast.Cutover], tenants: Tenants | None
) -> tuple[list[ast.Cutover], Tenants | None]:
    """The cutover with what replacements say of it: the flag, and with it the ramp, is one for the whole migration."""
    canaries = tuple(c for node in nodes for c in node.canaries)
    ramps = tuple(r for node in nodes for r in node.ramps)
    if not canaries and not ramps:
        return cutovers, tenants
    first = cutovers[0] if cutovers else ast.Cutover((), (), (), (canaries or ramps)[0].span)
    canaries = (*first.canaries, *canaries)
    ramps = (*first.ramps, *ramps)
    if (tenants is None or tenants.none_because) and not canaries and any(None in r.steps for r in ramps):
        # Without tenants the canary is whoever says so of itself: an instance, a tester.
        canaries = (ast.Canary((ast.Text(CANARY, ramps[0].span),), ramps[0].span),)
    if tenants is not None and tenants.none_because:
        tenants = None
    merged = ast.Cutover(canaries, ramps, first.allows, first.span, first.settings, first.aborts)
    return [merged, *cutovers[1:]], tenants


def replacements(
    problems: Problems, nodes: list[ast.Replace], known: tuple[Service, ...], headers: list[ast.Migration], alone: bool
) -> tuple[Replacement, ...]:
    """The replacements; `alone`: the migration changes no table, so that its type is theirs."""
    found: dict[str, Replacement] = {}
    for node in nodes:
        if node.name.text in found:
            more = [(found[node.name.text].span, "the first one")]
            title = f"two replacements are called `{node.name.text}`"
            problems.error("MIG104", node.name.span, title, "the second one", more=more)
            continue
        found[node.name.text] = _replacement(problems, node, known)
    every = tuple(found.values())
    if alone and every:
        _type(problems, headers, every)
    strangled = [each for each in every if each.strangles]
    for extra in strangled[1:]:
        title = "one migration puts one router in the way"
        more = [(strangled[0].span, "its architecture is replaced here")]
        problems.error("MIG007", extra.span, title, "a second one", more=more, help="give it a migration of its own")
    return every


def _type(problems: Problems, headers: list[ast.Migration], every: tuple[Replacement, ...]) -> None:
    derived = list(dict.fromkeys(f"{each.kind}_migration" for each in every))
    for setting in (s for header in headers[:1] for s in header.settings if s.key == "migration_type"):
        word = setting.words[0]
        if word.text not in derived and word.text.endswith(("_migration", "schema_change", "backfill", "cdc")):
            title = f"what is replaced makes this migration a {derived[0]}"
            more = [(every[0].span, f"a kind of {every[0].kind}")]
            fix = fixes.replacing(word.span, derived[0], f"its type is {derived[0]}", safe=False)
            problems.error("MIG620", word.span, title, "says otherwise", more=more, help=f"type {derived[0]}", fix=fix)


def _replacement(problems: Problems, node: ast.Replace, known: tuple[Service, ...]) -> Replacement:
    watch.named(problems, node.name, "replacement")
    once(problems, node.settings, "replacement")
    settings = {s.key: s for s in reversed(node.settings)}
    _complete(problems, node, settings)
    kind = _kind(problems, settings.get("kind"))
    old, new = _said(settings.get("old")), _said(settings.get("new"))
    if old and old == new:
        more = [(settings["old"].span, "the old")]
        problems.error("MIG620", settings["new"].span, "the new is the old", "nothing is replaced", more=more)
    names = tuple(name for line in node.affects for name in line.names)
    return Replacement(
        name=node.name.text,
        kind=kind or KINDS[-1],
        old=old,
        new=new,
        affects=named(problems, names, known),
        verifies=tuple(_verifies(problems, node)),
        way_back=_said(settings.get("rollback_by")),
        routes=tuple(_routes(problems, node, kind)),
        soak_seconds=_soak(problems, node),
        span=node.name.span,
    )


def _complete(problems: Problems, node: ast.Replace, settings: dict[str, ast.Setting]) -> None:
    missing = [line for key, line in _NEEDED.items() if key not in settings]
    missing += [] if node.verifies else ['verify "the test suite passes" run "make test"']
    if missing:
        words_ = [line.split()[0] for line in missing]
        title = f"`{node.name.text}` doesn't say: {', '.join(words_)}"
        problems.error("MIG620", node.name.span, title, "not all of it", help="\n".join(missing))
    for setting in settings.values():
        if setting.texts and not setting.texts[0].value.strip():
            title = f"`{setting.key.split('_')[0]}` says nothing"
            problems.error("MIG620", setting.texts[0].span, title, "empty", help=_NEEDED[setting.key])


def _kind(problems: Problems, setting: ast.Setting | None) -> str | None:
    if setting is None:
        return None
    word = setting.words[0]
    if word.text in KINDS:
        return word.text
    problems.unknown("MIG106", "kind of replacement", word.text, word.span, KINDS)
    return None


def _said(setting: ast.Setting | None) -> str:
    return " ".join(setting.texts[0].value.split()) if setting is not None else ""


def _verifies(problems: Problems, node: ast.Replace) -> Iterator[Verify]:
    seen: dict[str, Span] = {}
    for verify in node.verifies:
        text = " ".join(verify.text.value.split())
        if not text or text in seen:
            if text:
                again(problems, verify.text.span, seen[text], "this verification", f"`{node.name.text}`")
            else:
                problems.error("MIG621", verify.text.span, "it isn't said what is proven", "empty")
            continue
        seen[text] = verify.text.span
        found = _verify(problems, verify, text)
        if found is not None:
            yield found


def _verify(problems: Problems, node: ast.Verify, text: str) -> Verify | None:
    if node.run is None:
        title = f"nothing proves that {text}"
        problems.error("MIG621", node.span, title, "no command", help=f'verify "{text}" run "make test"')
        return None
    command = node.run.value.strip()
    try:
        found = words(command)
    except CommandError as error:
        title = "this command can't be run as it is written"
        problems.error("MIG621", node.run.span, title, str(error), help=error.help)
        return None
    return Verify(text, command, found, _within(problems, node.within), node.span)


def _within(problems: Problems, number: ast.Number | None) -> int:
    if number is None:
        return DEFAULT_WITHIN
    seconds = lexis.seconds(number.raw)
    if seconds is None or not 1 <= seconds <= _LONGEST:
        title = "a command may take from 1s to 24h"
        problems.error("MIG008", number.span, title, "no such time", help="within 20m")
        return DEFAULT_WITHIN
    return int(seconds)


def _routes(problems: Problems, node: ast.Replace, kind: str | None) -> Iterator[str]:
    seen: dict[str, ast.Text] = {}
    for text in node.routes:
        path = text.value
        if kind is not None and kind != "architecture":
            title = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} has no routes"
            label = "no router sends requests to its old or new"
            problems.error("MIG622", text.span, title, label, help="kind architecture")
            return
        if _ROUTE.fullmatch(path) is None:
            title = f"`{path}` is no path"
            help_ = (
                'route "/orders", which means all paths below it too; "/users/{id}/orders", where {id} is any one part'
            )
            problems.error("MIG622", text.span, title, "not as a request has it", help=help_)
            continue
        wider = next((t for t in seen.values() if covers(t.value, path) or covers(path, t.value)), None)
        if wider is not None:
            more = [(wider.span, "the other one")]
            title = f"`{path}` and `{wider.value}` are about the same requests"
            problems.error("MIG622", text.span, title, "one is below the other", more=more, help="keep the shorter one")
        seen.setdefault(path, text)
        yield path


def covers(prefix: str, path: str) -> bool:
    """Whether all that is below `path` is below `prefix`, whatever the names of parameters."""
    head, whole = _parts(prefix), _parts(path)
    return len(head) <= len(whole) and all(a in ("{}", b) for a, b in zip(head, whole, strict=False))


def _parts(path: str) -> list[str]:
    return [part for part in _PARAMETER.sub("{}", path).split("/") if part]


def _soak(problems: Problems, node: ast.Replace) -> int:
    for second in node.soaks[1:]:
        again(problems, second.span, node.soaks[0].span, "after", f"`{node.name.text}`")
    for number in node.soaks[:1]:
        seconds = lexis.seconds(number.raw)
        if seconds is not None and seconds >= 1:
            return int(seconds)
        bad_number(problems, number, "duration", "14d")
    return DEFAULT_SOAK
