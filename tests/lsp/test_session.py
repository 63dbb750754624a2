"""What a session answers of real files: names, completion, hover, fixes, shapes; no server, no protocol."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from migdsl.lsp.actions import hints, laid_out, lenses
from migdsl.lsp.navigate import NotRenamed, reading_of
from migdsl.lsp.places import UTF8, UTF16, UTF32, Places, applied
from migdsl.lsp.session import Session
from migdsl.lsp.shape import folds, kinds, symbols
from migdsl.source import SourceFile
from migdsl.workspace import check
from tools.fuzz_inputs import make

ROOT = Path(__file__).resolve().parent.parent.parent
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")


def session(**texts: str) -> Session:
    made = Session()
    for name, text in texts.items():
        made.put(f"{name}.mig", text)
    return made


def marked(text: str) -> tuple[str, int]:
    """A text without its `¦`, and where that was."""
    return text.replace("¦", ""), text.index("¦")


def offered(text: str, **more: str) -> dict[str, str]:
    text, at = marked(text)
    return {each.label: each.text for each in session(a=text, **more).complete("a.mig", at)}


def spans(text: str, found) -> list[str]:
    return [text[each.start : each.end] for each in found]


# ---------------------------------------------------------------- completion


def test_at_the_beginning_there_are_declarations():
    labels = offered("¦")
    assert {"migration", "entity", "change", "use", "tenants none because"} <= set(labels)
    assert labels["entity"].startswith("entity")
    assert "ticket" not in labels


def test_in_a_block_there_are_its_lines_and_no_others():
    labels = offered(USERS.replace("  drop email", "  ¦\n  drop email"))
    assert {"add", "drop", "rename", "drop index"} <= set(labels)
    assert not {"ticket", "stage"} & set(labels)


def test_columns_are_those_of_the_entity():
    other = "entity Other in app.others {\n  id bigint key\n  strange text\n}\n"
    labels = offered(other + USERS.replace("drop email", "drop ¦email"))
    assert {"email", "username", "contact_email"} <= set(labels)
    assert "strange" not in labels


def test_columns_are_offered_in_sql_while_it_is_typed():
    assert "username" in offered(USERS.replace("`coalesce(email, username", "`coalesce(email, us¦"))
    assert "username" in offered(USERS.replace("`coalesce(email, ", "`coalesce(¦email, "))


def test_words_come_from_their_sets():
    assert set(offered(USERS.replace("stage off", "stage ¦off"))) >= {"off", "shadow", "live"}
    assert "drift_rate" in offered(USERS + "\ngate calm when ¦")
    assert "bigint" in offered("entity A in app.b {\n  a ¦")
    assert "MIG413" in offered(USERS.replace('ticket   "MIG-77"', "allow ¦"))


def test_a_declared_metric_a_gate_and_an_invariant_are_offered():
    text = USERS + "\nmetric mine = `up` unit ratio\ngate calm when mine > 0%\n"
    assert "mine" in offered(text + "gate other when ¦")
    assert "calm" in offered(text + 'accept "x" by gate ¦')


def test_a_mistake_elsewhere_does_not_matter():
    broken = USERS.replace("tenants {", "tennants {").replace("  rows 500k", "  rows rows rows (")
    assert {"email", "username"} <= set(offered(broken.replace("drop email", "drop ¦email")))


def test_nothing_is_offered_in_a_comment_or_a_text():
    assert offered("# mig¦ration") == {}
    assert offered(USERS.replace('"MIG-77"', '"MIG¦-77"')) == {}


def test_columns_of_a_used_file_are_offered():
    shared = USERS[USERS.index("entity User") : USERS.index("change User")]
    main = 'use "shared.mig"\nchange User {\n  drop ¦\n}\n'
    assert "email" in offered(main, shared=shared)


# ---------------------------------------------------------------- names

WHOLE = """\
migration m {
}
entity User in app.users {
  id bigint key
  "Odd One" text
  email text? pii
  unique (email)
  check `email <> ''`
}
change User {
  add mail text {
    from `coalesce(email, 'email')  -- email`
    back email = `mail`
  }
  drop email
}
entity Other in app.others {
  email text
  user_id bigint -> User.id
}
gate calm when mine > 0
metric mine = `up` unit count
accept "x" by gate calm
"""


def test_a_columns_places_are_those_of_its_entity_in_sql_too():
    made = session(a=WHOLE)
    found = made.references("a.mig", WHOLE.index("email"))
    assert spans(WHOLE, [each.name for each in found]) == ["email"] * 6
    assert {each.name.entity for each in found} == {"User"}
    assert [each.name.sql for each in found] == [False, False, True, True, False, False]


def test_a_definition_is_found_from_everywhere():
    made = session(a=WHOLE)
    for place, target in ((WHOLE.index("coalesce(email") + 10, "email text? pii"), (WHOLE.index("User.id"), "User in")):
        (found,) = made.definition("a.mig", place)
        assert WHOLE[found.start :].startswith(target)
    (found,) = made.definition("a.mig", WHOLE.index("User.id") + 6)
    assert WHOLE[found.start :].startswith("id bigint key")


def test_a_rename_quotes_where_it_must():
    made = session(a=WHOLE)
    text = applied(WHOLE, made.rename("a.mig", WHOLE.index("email"), "E Mail"))
    assert '"E Mail" text? pii' in text
    assert "coalesce(\"E Mail\", 'email')  -- email" in text
    assert "entity Other in app.others {\n  email text\n" in text
    assert made.rename("a.mig", WHOLE.index("email"), "key")[0].text == '"key"'


def test_a_rename_changes_what_the_check_sees_alike():
    made = session(a=USERS)
    text = applied(USERS, made.rename("a.mig", USERS.index("contact_email"), "mail_address"))
    assert "contact_email" not in text
    assert check({"a.mig": text}, "a.mig").ok


def test_metrics_and_gates_are_renamed():
    made = session(a=WHOLE)
    assert "gate calm when mien > 0\nmetric mien =" in applied(WHOLE, made.rename("a.mig", WHOLE.index("mine"), "mien"))
    quiet = applied(WHOLE, made.rename("a.mig", WHOLE.index("calm"), "quiet"))
    assert quiet.endswith('accept "x" by gate quiet\n')


@pytest.mark.parametrize(
    ("place", "new"), [("mine", "two words"), ("email", "id"), ("email", ""), ("email", "x" * 64), ("bigint", "int")]
)
def test_what_cannot_be_renamed_says_so(place: str, new: str):
    with pytest.raises(NotRenamed):
        session(a=WHOLE).rename("a.mig", WHOLE.index(place), new)


def test_a_shared_entity_is_renamed_in_all_that_use_it():
    shared = "entity User in app.users {\n  id bigint key\n}\n"
    one = 'use "shared.mig"\nchange User {\n}\n'
    lone = "entity User in app.users {\n}\n"
    made = session(shared=shared, one=one, lone=lone)
    found = made.references("shared.mig", shared.index("User"), ["one.mig", "lone.mig"])
    assert sorted({each.path for each in found}) == ["one.mig", "shared.mig"]
    (target,) = made.definition("one.mig", one.index("User"))
    assert (target.path, target.start) == ("shared.mig", shared.index("User"))
    (target,) = made.definition("one.mig", 6)
    assert target.path == "shared.mig"


# ---------------------------------------------------------------- hover, hints, fixes


def test_an_operation_tells_what_it_becomes_with_locks():
    made = session(a=USERS)
    found = made.hover("a.mig", USERS.index("add contact"))
    assert found is not None
    assert "**expand**" in found.text
    assert "**enforce**" in found.text
    assert "`SHARE UPDATE EXCLUSIVE`" in found.text
    broken = session(a=USERS.replace("drop email", "drop emial"))
    said = broken.hover("a.mig", USERS.index("add contact"))
    assert said is not None
    assert "**expand**" not in said.text


def test_a_name_tells_where_it_is_from_and_a_code_what_it_is():
    made = session(a=USERS.replace('ticket   "MIG-77"', 'allow MIG412 because "x"'))
    text = made.texts["a.mig"]
    column = made.hover("a.mig", text.index("drop email") + 6)
    assert column is not None
    assert "email      text?    pii" in column.text
    code = made.hover("a.mig", text.index("MIG412"))
    assert code is not None
    assert "this way back doesn't lead back" in code.text


def test_each_operation_shows_its_phases():
    made = session(a=USERS)
    shown = hints(reading_of(USERS), "a.mig", made.check("a.mig").becomes)
    assert [each.text for each in shown] == ["expand · backfill · validate · enforce", "expand · contract"]
    assert [USERS[: each.at].rsplit("\n", 1)[1] for each in shown] == [
        "  add contact_email text pii {",
        "  drop email after 30d",
    ]
    assert [each.command for each in lenses(reading_of(USERS))] == ["migdsl.plan", "migdsl.rehearse"]


def test_fixes_mend_the_file():
    text = USERS.replace("after 30d", "after 30days").replace("  downtime none", "  downtime nonne")
    made = session(a=text)
    problems = made.problems("a.mig")
    assert len(problems) == 2
    at = text.index("30days")
    first, together = made.actions("a.mig", at, at)
    assert first.safe
    assert first.problem is not None
    assert applied(text, first.edits) == text.replace("30days", "30d")
    assert check({"a.mig": applied(text, together.edits)}, "a.mig").ok


def test_a_fix_that_decides_something_says_so():
    text = USERS.replace("drop email", "drop emial")
    (found,) = session(a=text).actions("a.mig", text.index("emial"), text.index("emial"))
    assert not found.safe
    assert "look at the result" in found.title


# ---------------------------------------------------------------- shapes


def test_the_outline_has_declarations_columns_and_operations():
    found = symbols(reading_of(USERS))
    assert [each.name for each in found if each.rule in ("entity", "change")] == ["entity User", "change User"]
    change = next(each for each in found if each.rule == "change")
    assert [each.name for each in change.inner] == ["add contact_email", "drop email"]


def test_what_can_be_folded():
    text = "# one\n# two\nentity A in app.a {\n  check `a\n  b`\n}\n"
    assert [text[each.start : each.end].split(maxsplit=1)[0] for each in folds(reading_of(text))] == ["{", "`a", "#"]


def test_tokens_tell_names_from_keywords():
    text = 'entity A in app.a {\n  tenant uuid tenant\n  "key" text\n}\n'
    found = [(text[each.start : each.end], each.kind) for each in kinds(reading_of(text))]
    assert ('"key"', "property") in found
    assert ("text", "type") in found
    assert ("entity", "keyword") in found


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.mig")), ids=lambda path: path.stem)
def test_every_token_of_the_examples_is_read(path: Path):
    reading = reading_of(path.read_text(encoding="utf-8"))
    assert [p.text for line in reading.all for p in line.pieces if p.leaf is None] == []


def test_a_range_is_laid_out_and_the_rest_left_alone():
    text = USERS.replace("  engine postgresql 15", "  engine      postgresql 15").replace(
        "    unique per", "  unique  per"
    )
    line = text[: text.index("unique  per")].count("\n")
    assert applied(text, laid_out("a.mig", text)) == USERS
    part = applied(text, laid_out("a.mig", text, line, line))
    assert "    unique per tenant" in part
    assert "  engine      postgresql 15" in part
    assert laid_out("a.mig", "entity {") == ()


# ---------------------------------------------------------------- places


@pytest.mark.parametrize("encoding", [UTF8, UTF16, UTF32])
def test_places_are_the_same_there_and_back(encoding: str):
    text = 'a "é👩\u200d👧" b\r\n\tx\rlast 😀'
    places = Places(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n":
            line, column = places.place(offset)
            assert places.offset(line, column) == offset
    units = {UTF8: 6, UTF16: 3, UTF32: 2}[encoding]
    assert places.place(text.index("👩") + 1)[1] - 3 == units
    assert places.offset(0, 999) == text.index("\r\n")
    assert places.offset(99, 0) == len(text)


def test_utf16_is_as_diagnostics_have_it():
    text = 'é👩 "x"\nz😀y'
    source, places = SourceFile("a", text), Places(text)
    for offset in range(len(text)):
        assert places.place(offset) == (source.position(offset).line - 1, source.position(offset).utf16)


# ---------------------------------------------------------------- whatever the text


def test_no_text_breaks_it():
    chance = random.Random(7)
    for number in range(120):
        data = make(7, number).data
        if len(data) > 40_000:
            continue
        text = data.decode("utf-8", "surrogateescape" if number % 2 else "replace")
        _ask_all(text, chance)


def test_half_a_file_breaks_nothing():
    for at in range(0, len(USERS), 7):
        _ask_all(USERS[:at], random.Random(at), 2)


def _ask_all(text: str, chance: random.Random, times: int = 4) -> None:
    made = session(a=text)
    made.check("a.mig")
    reading = reading_of(text)
    for asked in (symbols, folds, kinds, lenses):
        asked(reading)
    laid_out("a.mig", text)
    places = Places(text)
    for _ in range(times):
        at = chance.randint(0, len(text))
        made.complete("a.mig", at)
        made.hover("a.mig", at)
        made.definition("a.mig", at)
        made.references("a.mig", at)
        made.actions("a.mig", at, at)
        places.offset(*places.place(at))
        try:
            made.rename("a.mig", at, "other")
        except NotRenamed:
            continue


def _flat_reading(text: str):
    reading = reading_of(text)
    return [
        (
            line.rule(),
            line.start,
            line.end,
            line.open,
            line.close,
            [(p.text, p.start, p.leaf and p.leaf.rule) for p in line.pieces],
        )
        for line in reading.all
    ]


def test_a_declarations_word_in_sql_or_a_list_begins_none():
    text = "entity A in app.a {\n  check `\nentity IS NOT NULL\n` as x\n  b text\n}\n"
    assert [line.rule() for line in reading_of(text).all] == ["entity", "entity_check", "column"]
    proofs = 'accept "x" by gate a,\ngate b\ngate c when drift_rate < 1%\n'
    assert [line.rule() for line in reading_of(proofs).all] == ["accept", "gate"]


def test_a_missing_brace_costs_one_declaration():
    text = USERS.replace("  rows 500k\n}", "  rows 500k\n")
    assert [line.rule() for line in reading_of(text).lines] == [line.rule() for line in reading_of(USERS).lines]


def test_what_is_kept_between_keystrokes_is_what_is_there():
    """A declaration that moved is read once and shifted: every place in it is where its text is."""
    for at in range(0, len(USERS), 29):
        text = f"{USERS[:at]}x{USERS[at:]}"
        for _, _, _, begin, close, pieces in _flat_reading(text):
            assert all(text.startswith(piece, start) for piece, start, _ in pieces)
            assert begin < 0 or text[begin] == "{"
            assert close < 0 or text[close] == "}"
