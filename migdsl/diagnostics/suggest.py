"""Did you mean: a word nobody knows and the known ones become the one that was meant, or nothing."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 80  # nobody names a thing longer than this; beyond it the table below costs more than the answer is worth
_SHORTEST_PART = 3  # a shared beginning of one or two letters says nothing

# How far off each kind of slip is, in the unit of one wrong letter. What keeps all letters is nearer than any typo.
_SAME_LETTERS = 0.1
_PLURAL = 0.3
_SAME_WORDS = 0.6
_BEGINNING = 1.5


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most probably stands for, or None where no candidate is near.

    Ranked: letters that differ in case or underscores only, plural, the same words in another order, few typing errors
    (a swap of neighbours is one), one the beginning of the other. Equal ranks go to the longer shared beginning, then
    to the alphabet, so the answer doesn't depend on the order of `candidates`. `word` itself is never the answer.
    """
    if not word or len(word) > _LONGEST:
        return None
    best = min(
        (
            (rank, -_shared(word.casefold(), candidate.casefold()), candidate)
            for candidate in set(candidates)
            if (rank := _rank(word, candidate)) is not None
        ),
        default=None,
    )
    return best[2] if best else None


def word_meant(word: str, words: Iterable[str]) -> str | None:
    """As `did_you_mean`, of the few words that the language has in a place: there `fo` is `of`, and `al` is `all`.

    Among names that people give, one letter of two is another name.
    """
    known = sorted(set(words))
    found = did_you_mean(word, known)
    if found is not None or len(word) != _SHORTEST_PART - 1:
        return found
    typed = word.casefold()
    slips = [each for each in known if each != word and _slips(typed, each.casefold())]
    return min(slips, key=lambda each: (len(each), -_shared(typed, each.casefold()), each), default=None)


def _slips(typed: str, meant: str) -> bool:
    """Whether two letters are those of a word swapped, or the same with one left out."""
    return typed[::-1] == meant or (len(meant) == _SHORTEST_PART and edit_distance(typed, meant, 1) == 1)


def is_sure(word: str, candidates: Iterable[str]) -> bool:
    """Whether `word` is near exactly one of the candidates, so that it can have meant no other."""
    if not word or len(word) > _LONGEST:
        return False
    return sum(_rank(word, candidate) is not None for candidate in set(candidates)) == 1


def _rank(word: str, candidate: str) -> float | None:
    if candidate == word or not candidate or len(candidate) > _LONGEST:
        return None
    left, right = _letters(word), _letters(candidate)
    if not left or not right:
        return None
    if left == right:
        return _SAME_LETTERS
    if _singular(left) == _singular(right):
        return _PLURAL
    words = _words(word)
    if len(words) > 1 and words == _words(candidate):
        return _SAME_WORDS
    return _nearest(left, right)


def _nearest(left: str, right: str) -> float | None:
    ranks: list[float] = []
    limit = _typing_errors_in(left)
    if abs(len(left) - len(right)) <= limit and (distance := edit_distance(left, right, limit)) <= limit:
        ranks.append(float(distance))
    short, long = sorted((left, right), key=len)
    if len(short) >= _SHORTEST_PART and long.startswith(short):
        # `mail` for `mail_address` is an abbreviation; the more is missing, the less sure.
        ranks.append(_BEGINNING + 1 - len(short) / len(long))
    return min(ranks, default=None)


def _typing_errors_in(word: str) -> int:
    """How many wrong letters a word of this length survives: a short word with two is another word."""
    return 0 if len(word) < 3 else 1 if len(word) < 6 else 2 if len(word) < 12 else 3


def _letters(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _words(name: str) -> list[str]:
    return sorted(name.casefold().replace("-", "_").split("_"))


def _singular(name: str) -> str:
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + singular
    return name[:-1] if len(name) > 3 and name.endswith("s") and not name.endswith("ss") else name


def _shared(left: str, right: str) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def edit_distance(left: str, right: str, limit: int) -> int:
    """Wrong, missing and extra letters and swapped neighbours between two words; any number above `limit` if more.

    Optimal string alignment (Damerau-Levenshtein where no part is edited twice), with the rows cut off at `limit`.
    """
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        row = [i]
        for j, other in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (one != other))
            if i > 1 and j > 1 and one == right[j - 2] and left[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit and min(above) > limit:  # a swap reaches back two rows
            return limit + 1
        before, above = above, row
    return above[-1]
