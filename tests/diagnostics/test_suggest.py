"""Did-you-mean finds what was meant and keeps silent where nothing is near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.diagnostics.suggest import did_you_mean, edit_distance, word_meant

COLUMNS = ("id", "tenant_id", "username", "email", "contact_email", "created_at")


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("emial", COLUMNS, "email"),  # swapped neighbours
        ("emai", COLUMNS, "email"),  # one missing
        ("usernamee", COLUMNS, "username"),  # one too many
        ("contactEmail", COLUMNS, "contact_email"),
        ("EMAIL", COLUMNS, "email"),
        ("email_contact", COLUMNS, "contact_email"),
        ("created", COLUMNS, "created_at"),
        ("Users", ("Use", "User", "UserRole"), "User"),
        ("Category", ("Categories", "Catalog"), "Categories"),
        ("boxes", ("box", "boxer"), "box"),
        ("tickt", ("ticket", "title", "type"), "ticket"),
        ("dual_write", ("off", "dualwrite", "shadow", "live"), "dualwrite"),
        ("rampup", ("rampdown", "off"), None),  # the opposite is worse than nothing
        ("db", ("app", "orders"), None),
        ("xy", ("id", "ab"), None),
        ("em", COLUMNS, None),  # a beginning of two letters says nothing
        ("telephone", COLUMNS, None),
        ("email", ("email",), None),  # the word itself is no answer
        ("", COLUMNS, None),
        ("_", ("__", "id"), None),
        ("email", (), None),
    ],
)
def test_meant(word: str, candidates: tuple[str, ...], meant: str | None) -> None:
    assert did_you_mean(word, candidates) == meant


@pytest.mark.parametrize(
    ("word", "words", "meant"),
    [
        ("fo", ("boolean", "of"), "of"),
        ("off", ("boolean", "of"), "of"),
        ("of", ("live", "off", "shadow"), "off"),
        ("pr", ("(", "per"), "per"),
        ("al", ("all", "canary"), "all"),
        ("no", ("as", "on"), "on"),
        ("xy", ("as", "on", "per"), None),
        ("of", ("as", "or"), None),
        ("to", ("to",), None),
    ],
)
def test_a_short_word_of_the_language(word: str, words: tuple[str, ...], meant: str | None) -> None:
    assert word_meant(word, words) == meant


def test_among_names_one_letter_of_two_is_another_name() -> None:
    assert did_you_mean("no", ("on",)) is None


def test_case_beats_plural_beats_typing_error() -> None:
    assert did_you_mean("users", ("Users", "user", "uses")) == "Users"
    assert did_you_mean("users", ("user", "uses")) == "user"
    assert did_you_mean("users", ("uses",)) == "uses"


def test_equal_ranks_go_to_the_shared_beginning_whatever_the_order() -> None:
    near = ["bat", "cot", "car"]
    assert {did_you_mean("cat", order) for order in (near, near[::-1], set(near))} == {"car"}


def test_a_megabyte_is_no_misspelling() -> None:
    assert did_you_mean("e" * 1_000_000, COLUMNS) is None
    assert did_you_mean("email", ["e" * 1_000_000, "emails"]) == "emails"


@given(st.text(max_size=100), st.lists(st.text(max_size=100), max_size=8))
def test_any_words(word: str, candidates: list[str]) -> None:
    meant = did_you_mean(word, candidates)
    assert meant is None or (meant in candidates and meant != word)
    assert meant == did_you_mean(word, candidates[::-1])


WORD = st.text("abc", max_size=7)


@given(WORD, WORD)
def test_distance_is_symmetric_and_the_limit_changes_no_near_answer(left: str, right: str) -> None:
    exact = edit_distance(left, right, 99)
    assert exact == edit_distance(right, left, 99) <= max(len(left), len(right))
    assert (exact == 0) == (left == right)
    for limit in range(4):
        assert (edit_distance(left, right, limit) <= limit) == (exact <= limit)


def test_a_swap_is_one_error() -> None:
    assert edit_distance("emial", "email", 9) == 1
    assert edit_distance("ab", "ba", 9) == 1
    assert edit_distance("abc", "ca", 9) == 3
    assert edit_distance("kitten", "sitting", 9) == 3
