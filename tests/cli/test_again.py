"""What a command was told is told again in the command that comes next, as words of a shell, and without a password."""

from __future__ import annotations

import shlex

from migdsl.cli import again
from migdsl.cli.arguments import Options, parse


def said(*words: str) -> Options:
    found = parse(list(words))
    assert isinstance(found, Options)
    return found


def test_what_is_usual_is_not_said() -> None:
    options = said("compile", "m.mig")
    assert (again.compiled(options), again.checked(options), again.connected(options)) == ("", "", "")


def test_words_of_a_compile_come_again() -> None:
    options = said("compile", "m.mig", "--out", "a b", "--through", "contract", "--root", ".", "--ticket", "t.json")
    assert again.compiled(options) == " --out 'a b' --through contract --root . --ticket t.json"
    assert again.checked(options) == " --root . --ticket t.json"
    assert again.file("it's.mig") == shlex.quote("it's.mig")
    once_more = said(*shlex.split(f"compile m.mig{again.compiled(options)}"))
    assert again.compiled(once_more) == again.compiled(options)


def test_a_url_is_said_by_the_name_of_its_variable_alone() -> None:
    words = (
        "--url",
        "shop=env:SHOP_URL",
        "--url",
        "orders=postgresql://me:secret@host/orders",
        "--alembic-config",
        "a.ini",
    )
    told = again.connected(said("apply", "m.mig", "--to", "expand", "--out", "o", *words))
    assert told == " --out o --url shop=env:SHOP_URL --alembic-config a.ini"
