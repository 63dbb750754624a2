"""The catalog of codes and the grammar's words become docs/rules/ and docs/reference.md; `--check` only compares."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from migdsl.diagnostics.catalog import FAMILIES, all_codes
from migdsl.diagnostics.code import Code
from migdsl.diagnostics.explain import FIXES
from migdsl.dialect.types import known_names
from migdsl.emit.promql import series
from migdsl.lint.run import ALLOWABLE
from migdsl.runtime.routing.meters import ROUTER_METRICS
from migdsl.runtime.stream.meters import SYNC_METRICS
from migdsl.runtime.telemetry.metrics import METRICS, MetricSpec
from migdsl.semantics.conditions import BUILT_IN, EXPORTED, ROUTED, SEEN_BY_JOBS, SYNCED
from migdsl.semantics.model import PHASES, STAGES
from migdsl.semantics.policy import Metric
from migdsl.syntax import lexis
from migdsl.syntax.notation import PARTS, statements
from migdsl.syntax.vocabulary import Construct, construct, declarations, inner, texts

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MADE = "<!-- Made by tools/refresh_docs.py: change the code's own texts, not this page. -->"
_INTRODUCTION = """\
Every construct, from the compiler's own grammar and words. [language.md](language.md) is the way in, \
`migdsl explain WORD` prints the same of one word, and [rules/](rules/README.md) has every diagnostic. \
What the compiler reads and this release can't carry out yet is refused with [`MIG007`](rules/MIG007.md)."""
_SIGNS = """\
In the lines below small words are typed as they are. `NAME`, `WORD`, `NUMBER` and the like stand for something of \
yours, `"…"` for a string, `` `SQL` `` for SQL in backticks. `[ ]` may be left out, `( | )` is a choice, `…` goes on \
like that, `{ … }` is a block."""
_KNOWN_TO = dict.fromkeys(SEEN_BY_JOBS, "a backfill while it runs, or a `metric` of yours") | dict.fromkeys(
    ROUTED, "the router ([routing.md](routing.md)), or a `metric` of yours"
)
_KNOWN_TO = _KNOWN_TO | {"replace_errors": "those that answer requests ([replacing.md](replacing.md))"}
_KNOWN_TO = _KNOWN_TO | dict.fromkeys(
    SYNCED, "the sync job of a `move` to another database ([streaming.md](streaming.md)), or a `metric` of yours"
)
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def pages() -> dict[Path, str]:
    """Every page that is made, by its path below docs/."""
    codes = all_codes().values()
    made = {Path("reference.md"): reference(), Path("rules/README.md"): rules_index()}
    # Prose with tables in it: without the prose there is nothing to make.
    made |= {page: with_tables(_read(DOCS / page)) for page in (Path("telemetry.md"),) if (DOCS / page).is_file()}
    return made | {Path(f"rules/{code.id}.md"): rule_page(code) for code in codes}


# ---------------------------------------------------------------- rules


def rules_index() -> str:
    """All codes by family."""
    lines = ["# Rules", "", MADE, "", "Every problem has a code; `migdsl explain CODE` prints its page."]
    for digit, (name, what) in FAMILIES.items():
        lines += ["", f"## MIG{digit}xx: {name.lower() if name != 'SQL' else name}", "", f"{_capital(what)}.", ""]
        lines += ["| code | severity | says | fix |", "| --- | --- | --- | --- |"]
        for code in all_codes().values():
            if code.id[3] == digit:
                fix = code.fix if code.fix in FIXES else ""
                lines.append(f"| [{code.id}]({code.id}.md) | {code.severity.value} | {code.title} | {fix} |")
    return "\n".join(lines) + "\n"


def rule_page(code: Code) -> str:
    """What `migdsl explain` prints, as a page."""
    lines = [
        f"# {code.id}: {code.title}",
        "",
        MADE,
        "",
        f"*{_capital(code.severity.value)}*, {_family(code)}.",
        "",
        code.why,
    ]
    if code.fix in FIXES:
        lines += ["", f"{FIXES[code.fix]}."]
    if code.id in ALLOWABLE:
        lines += ["", f'It can be lifted, with a reason: `allow {code.id} because "…"`.']
    lines += ["", "## Not so", "", *_block(code.bad), "", "## But so", "", *_block(code.good)]
    looked_at = [each for each in _all() if code.id in each.codes]
    if looked_at:
        links = ", ".join(f"[`{_called(each)}`](../reference.md#{_anchor(_home(each))})" for each in looked_at)
        lines += ["", "## In the reference", "", f"{links}."]
    return "\n".join(lines) + "\n"


def _family(code: Code) -> str:
    name = FAMILIES[code.id[3]][0]
    return f"of the family [{name}](README.md)"


# ---------------------------------------------------------------- reference


def reference() -> str:
    """The language reference."""
    return "\n".join([*_head(), *_literals(), *_declarations(), *_parts(), *_words(), *_types()]) + "\n"


def _head() -> list[str]:
    return ["# Reference of the `.mig` language", "", MADE, "", _INTRODUCTION, "", _SIGNS, ""]


def _literals() -> list[str]:
    units = ", ".join(f"`{unit}` {_UNITS[unit]}" for unit in lexis.UNITS)
    multiples = ", ".join(f"`{letter}` {number:,}" for letter, number in lexis.MULTIPLES.items() if letter)
    rows = [
        ("NAME", "letters, digits and `_`, or anything in double quotes", '`users`, `"order"`'),
        ('"…"', "a string on one line, with JSON's escapes", '`"a \\"b\\""`'),
        (
            "SQL",
            "SQL in backticks, over several lines if need be; a backtick in it is doubled",
            "`` `coalesce(a, b)` ``",
        ),
        ("DURATION", f"a whole number with {units}", "`24h`"),
        ("COUNT", f"a number with `_` where you like, and {multiples}", "`1_000`, `1.5M`"),
        ("PERCENT", "from `0%` to `100%`", "`0.1%`"),
        ("DATE", "year, month and day", "`2027-01-31`"),
    ]
    lines = ["## Values", "", "| sign | stands for | for example |", "| --- | --- | --- |"]
    return [*lines, *(f"| {_code(sign)} | {what} | {example} |" for sign, what, example in rows), ""]


def _declarations() -> Iterator[str]:
    for each in declarations():
        yield from _section(each, 2)
    yield ""


def _section(each: Construct, depth: int) -> Iterator[str]:
    yield from [f"{'#' * depth} {_title(each.rule)}", "", *_syntax(each), "", _linked(each.says)]
    yield from _choices(each)
    yield from ["", *_block(each.example)]
    if each.lines:
        yield from ["", "| line | meaning |", "| --- | --- |", *(_row(line) for line in inner(each))]
    yield from [*_rules(each), ""]
    for line in inner(each):
        if line.lines and line.rule not in _declared():
            yield from _section(line, depth + 1)


def _row(line: Construct) -> str:
    """A line of a block: how it is written, what it is for, and the words it takes."""
    syntax = " or ".join(_code(way) for way in line.syntax)
    if line.lines:
        syntax = f"[{syntax}](#{_anchor(line.rule)})" if "`" not in "".join(line.syntax) else syntax
    words = f" Words: {_listed(line.words)}." if line.words else ""
    return f"| {_cell(syntax)} | {_cell(_linked(line.says) + words)} |"


def _parts() -> Iterator[str]:
    """What stands in other lines, and is told of once."""
    yield from ["## Parts of lines", ""]
    for rule, sign in PARTS.items():
        each = construct(rule)
        yield from [
            f"### {sign}",
            "",
            *_syntax(each),
            "",
            _linked(each.says),
            *_choices(each),
            "",
            *_block(each.example),
            *_rules(each),
            "",
        ]
    yield from ["### Clauses", "", "| clause | meaning |", "| --- | --- |"]
    told = {line for each in _all() for line in each.lines} | set(PARTS) | set(_declared())
    yield from (_row(construct(rule)) for rule in texts() if rule not in told)
    yield ""


def _words() -> Iterator[str]:
    yield from ["## Phases, stages, metrics", ""]
    yield f"A *phase* is the state of the database: {_listed(PHASES)}."
    yield f"A *stage* is where a tenant stands in the staged flag: {_listed(STAGES)}."
    yield from ["", "Built-in metrics:", "", "| metric | unit | known to |", "| --- | --- | --- |"]
    for metric, unit in BUILT_IN.items():
        known = "the jobs of a migration" if metric in EXPORTED else _KNOWN_TO.get(metric, "a `metric` of yours")
        yield f"| `{metric}` | {unit} | {known} |"
    yield ""


def _types() -> list[str]:
    return ["## Types", "", f"PostgreSQL's own types that the compiler knows: {_listed(tuple(known_names()))}."]


def _syntax(each: Construct) -> list[str]:
    return ["```text", *each.syntax, "```"]


def _choices(each: Construct) -> Iterator[str]:
    if each.words:
        yield from ["", f"Words: {_listed(each.words)}."]


def _rules(each: Construct) -> Iterator[str]:
    if each.codes:
        links = ", ".join(f"[{code}](rules/{code}.md) ({all_codes()[code].title})" for code in each.codes)
        yield from ["", f"Rules: {links}."]


# ---------------------------------------------------------------- telemetry


def with_tables(page: str) -> str:
    """The page about telemetry, its tables made anew. Raises ValueError where a place for one is missing."""
    tables = {
        "metrics": metrics_table(METRICS),
        "sync metrics": metrics_table(SYNC_METRICS),
        "router metrics": metrics_table(ROUTER_METRICS),
    }
    for name, table in {**tables, "conditions": conditions_table()}.items():
        places = list(re.finditer(rf"(?<=<!-- {name}: )[^\n]*-->\n(.*?)<!-- /{name} -->", page, re.DOTALL))
        if len(places) != 1:
            raise ValueError(f"telemetry.md has {len(places)} places for {name}")
        start, end = places[0].span(1)
        page = f"{page[:start]}\n{table}\n{page[end:]}"
    return page


def metrics_table(families: Sequence[MetricSpec]) -> str:
    """Name, kind, labels and help of each metric."""
    lines = ["| metric | kind | labels | what |", "| --- | --- | --- | --- |"]
    lines += [f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {_cell(m.help)} |" for m in families]
    return "\n".join(lines) + "\n"


def conditions_table() -> str:
    """The PromQL of each built-in metric that something exports; `M` is the migration."""
    lines = ["| name | unit | PromQL |", "| --- | --- | --- |"]
    for name, unit in BUILT_IN.items():
        if name in EXPORTED | ROUTED | SEEN_BY_JOBS | {*SYNCED}:
            asked = series(Metric(name, unit, None), "M").removeprefix("(").removesuffix(")")
            lines.append(f"| `{name}` | {unit} | `{_cell(asked)}` |")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- small things


def _all() -> list[Construct]:
    return [construct(rule) for rule in texts()]


def _declared() -> tuple[str, ...]:
    return tuple(each.rule for each in declarations())


def _called(each: Construct) -> str:
    return PARTS.get(each.rule) or _title(each.rule)


def _title(rule: str) -> str:
    """The words that a construct begins with: `drop index`, `flag … boolean`; what begins with none goes by its rule."""
    if rule in PARTS:
        return PARTS[rule]
    first = construct(rule).syntax[0].split(" ")
    words = [word for word in first if re.fullmatch(r"[a-z_]+", word)]
    head = []
    for word in first:
        if word not in words:
            break
        head.append(word)
    title = " ".join(head) or rule.replace("_", " ")
    return f"{title} … boolean" if rule == "boolean_flag" else title


def _home(each: Construct) -> str:
    """The rule under whose heading a construct is told of."""
    if each.rule in PARTS or each.rule in _declared() or each.lines:
        return each.rule
    return next((rule for rule in texts() if each.rule in statements(rule)), "clauses")


def _anchor(rule: str) -> str:
    if rule == "clauses":
        return rule
    return re.sub(r"[^\w -]", "", _title(rule).lower()).replace(" ", "-")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _linked(text: str) -> str:
    return re.sub(r"`(MIG\d{3})`", r"[`\1`](rules/\1.md)", text)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _block(source: str) -> list[str]:
    return ["```mig", *source.strip("\n").split("\n"), "```"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---------------------------------------------------------------- command


def stale(made: Mapping[Path, str]) -> list[Path]:
    """Pages that are missing, not fresh, or of no code any more."""
    wrong = [path for path, text in made.items() if not (DOCS / path).is_file() or _read(DOCS / path) != text]
    there = sorted(path.relative_to(DOCS) for path in (DOCS / "rules").glob("*.md"))
    return wrong + [path for path in there if path not in made]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where a page is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a page is not fresh")
    check = parser.parse_args(argv).check
    made = pages()
    wrong = stale(made)
    for path in wrong:
        sys.stderr.write(f"docs/{path}: {'not fresh' if check else 'rewritten' if path in made else 'removed'}\n")
        if check:
            continue
        if path in made:
            (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
            (DOCS / path).write_text(made[path], encoding="utf-8")
        else:
            (DOCS / path).unlink()
    return 2 if check and wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
