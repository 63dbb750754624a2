"""MIG8xx, APIs: what would leave clients without a version, a day or a place to go."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

_V1, _V2 = 'version v1 at "/api/v1"', 'version v2 at "/api/v2" replaces v1'
_DAYS = ("deprecate v1 on 2026-12-15", "sunset v1 on 2027-03-01")
_HEAD = 'migration orders_v2 { ticket "API-12" }'
_GUIDE = 'guide "https://docs.example.com/orders/v2"'


def _api(*lines: str) -> str:
    return "\n".join(["api orders_http {", *(f"  {line}" for line in lines), "}"])


CODES: tuple[Code, ...] = (
    Code(
        id="MIG801",
        severity=Severity.ERROR,
        title="there is no version of that name",
        why="""\
`replaces`, `deprecate` and `sunset` speak of versions that the same `api` declares. A misspelt one would be deprecated \
in no answer and gone on no day, while its clients go on without a word. A version that is older than what the file \
speaks of, and that nobody asks for any more, needs no line at all.""",
        bad=_api(_V1, _V2, _DAYS[0], "sunset vl on 2027-03-01", _GUIDE),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="unsafe",
    ),
    Code(
        id="MIG802",
        severity=Severity.ERROR,
        title="the versions are no chain from the oldest to the newest",
        why="""\
Each version but the oldest replaces exactly one other, and the newest is replaced by none: that is how the answer of an \
old version can say where to go, and how the compiler knows which one stays. A version without a successor can't be \
deprecated, since its clients would have nowhere to go; and two beginnings, or a circle, have no newest one.""",
        bad=_api(_V1, 'version v2 at "/api/v2"', *_DAYS, _GUIDE),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG803",
        severity=Severity.ERROR,
        title="the dates of an API are out of order",
        why="""\
First clients are told (`announce`), then a version is deprecated, then it is gone (`sunset`), and for some a little \
later (`grace`). A sunset before the deprecation would take a version away that its answers still call fit for use, \
which RFC 8594 and RFC 9745 rule out; a grace that ends before the sunset is none. Days may coincide. No clock is read: \
whether a day is past makes no difference to the compiler.""",
        bad=_api(_V1, _V2, "deprecate v1 on 2027-03-01", "sunset v1 on 2026-12-15", _GUIDE),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG804",
        severity=Severity.ERROR,
        title="an API lacks what its clients must be told",
        why="""\
Whoever calls an old version has to learn when it is deprecated, when it is gone, where the next one answers, and where \
the guide is: all of that stands in each of its answers. Where no path tells versions apart (strategy `header` or \
`media_type`), the routes say which requests are the API's at all. None of it has a default that would be safe.""",
        bad=_api(_V1, _V2, _DAYS[1]),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG805",
        severity=Severity.ERROR,
        title="a version answers where requests can't be told apart",
        why="""\
`at` is what the strategy looks at: with `url` a path, from `/` on and without one at the end; with `header` the value \
of the header that the strategy names; with `media_type` a media type, without wildcards. Two versions in one place \
would be one, and a request for the new one might be answered 410.""",
        bad=_api('version v1 at "api/v1"', _V2, *_DAYS, _GUIDE),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG806",
        severity=Severity.ERROR,
        title="this is no path of a route",
        why="""\
A route is a method and a path below the version's own, with parameters in braces, each of them a whole segment and each \
name once: `/orders/{id}/items/{item}`. Query strings are no part of it. Requests are matched against it and the guide's \
examples are made of it, so it must be one that a request can have.""",
        bad=_api(_V1, _V2, 'route GET "/orders/{id}-{id}?full=1"', *_DAYS, _GUIDE),
        good=_api(_V1, _V2, 'route GET "/orders/{id}"', *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG807",
        severity=Severity.ERROR,
        title="the guide is no https:// address",
        why="""\
The guide's address goes out in the headers of every answer of an old version and into each 410, to people who know \
nothing of your systems. It must be one that they can open, and over a connection that nobody in between can change.""",
        bad=_api(_V1, _V2, *_DAYS, 'guide "docs/orders.md"'),
        good=_api(_V1, _V2, *_DAYS, _GUIDE),
        fix="none",
    ),
    Code(
        id="MIG808",
        severity=Severity.ERROR,
        title="this stage has no meaning for what is no table",
        why="""\
A migration of an API alone has nothing to write twice, to compare in the shadow or to read no more: its flag tells your \
own clients which version to call, and goes from `off` to `live`, and to `complete` when nobody asks any more. A stage \
in between would change nothing for anybody, and look as if it did.""",
        bad=f"{_HEAD}\n{_api(_V1, _V2, *_DAYS, _GUIDE)}\nflag orders_v2 {{\n  stage shadow for all\n}}",
        good=f"{_HEAD}\n{_api(_V1, _V2, *_DAYS, _GUIDE)}\nflag orders_v2 {{\n  stage live for all\n}}",
        fix="none",
    ),
    Code(
        id="MIG809",
        severity=Severity.ERROR,
        title="a day that clients were told would come earlier",
        why="""\
`migdsl diff` compares two versions of a file. In the newer one a version of an API would be gone, or a grace be over, \
before the day that the older one says, and that stands in headers, in the guide and in people's plans. A later day \
breaks nobody. Where it has to be earlier all the same, tell everybody anew and say so: with another `announce` it is \
another promise. Nobody but you knows whether the first one has gone out.""",
        bad="\n".join(
            ["# it was: sunset v1 on 2027-03-01", _api(_V1, _V2, _DAYS[0], "sunset v1 on 2027-02-01", _GUIDE)]
        ),
        good="\n".join(
            ["# it was: sunset v1 on 2027-03-01", _api(_V1, _V2, _DAYS[0], "sunset v1 on 2027-04-01", _GUIDE)]
        ),
        fix="none",
    ),
)
