"""A replacement becomes sentences, each of them about this one: strategy, risks, rules, and what people are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.ops.replacing import by_request, ramp
from migdsl.planning.paths import Paths
from migdsl.planning.words import duration, listed
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.replacement import Replacement, soak_of
from migdsl.values import Value

REQUESTS = "migdsl_replace_requests_total"
TOLERATED = "1 percentage point"


class About(Value):
    """A replacement, what its file is called, and where its files go. `first`: it speaks for what all of them share."""

    each: Replacement
    module: CheckedModule
    paths: Paths
    file: str
    first: bool

    @property
    def whose(self) -> str:
        return "client" if by_request(self.module) else "tenant"

    @property
    def soak(self) -> int:
        return soak_of(self.each, self.module.policy.keep_seconds)

    @property
    def evidence(self) -> str:
        return f"evidence/{self.paths.migration}.json"

    @property
    def verify(self) -> str:
        return f"python {self.paths.verify} --evidence {self.evidence}"

    @property
    def proven(self) -> str:
        return f"python {self.paths.verify} --proven {self.evidence}"

    @property
    def requests(self) -> str:
        """The requests that move."""
        return f"requests of {listed(list(self.each.routes))}" if self.each.routes else "requests"


def strategy(about: About) -> Iterator[str]:
    each = about.each
    proofs = listed([f"{verify.text} ({verify.command})" for verify in each.verifies])
    yield f"{each.new} is put beside {each.old}, which answers all requests until the flag says otherwise."
    yield f"Before anybody is sent to {each.new} it is proven that {proofs}."
    if each.strangles:
        paths = listed(list(each.routes)) or "all paths"
        rest = f" Other paths stay with {each.old}." if each.routes else ""
        yield f"For {paths} a router asks the flag which side the {about.whose} is on, and sends the request there, once.{rest}"
    else:
        yield asked(about)
    yield f"{each.old} goes {duration(about.soak)} after all {about.whose}s have moved, once it answers none any more."


def asked(about: About) -> str:
    """Who asks the flag, where no router of ours does."""
    each, flag = about.each, f"the flag {about.paths.migration} per {about.whose}"
    if each.kind == "infrastructure":
        return f"Whatever uses {each.old} asks {flag} which of the two to use, and counts each request by the side that it used."
    return f"A process has {each.old} or {each.new}, and counts its requests as of that side; what balances load asks {flag}."


def approach(about: About) -> str:
    each, module = about.each, about.module
    steps = [f"{step:g}%" if step is not None else "the canary" for step in ramp(module)]
    every = duration(module.rollout.every_seconds)
    how = f"{about.requests[0].upper()}{about.requests[1:]} move from {each.old} to {each.new} {about.whose} by {about.whose}"
    return f"{how}: {listed(steps)}, {every} apart, by the flag {about.paths.migration}."


def before(about: About) -> Iterator[str]:
    each, paths = about.each, about.paths
    if about.first:
        yield (
            f"`python {paths.verify} --list` shows the commands that are going to be run, and runs none of them. How they "
            f"end is written to `{about.evidence}`; keep that file where the pipeline's other results are."
        )
    if not each.strangles:
        labels = f'migration="{paths.migration}", replace="{each.name}", side="old" or "new", outcome="ok" or "error"'
        yield (
            f"Prometheus reads `{REQUESTS}` ({labels}) from each process. `migdsl.runtime.strangler` counts (`Counted` an "
            "ASGI application of one side, `Outcomes` anything else); others count themselves."
        )


def stages(about: About) -> str:
    each = about.each
    needed = "" if about.module.changes else "; only `off`, `live` and `complete` are needed"
    return (
        f"For {each.name} `off`, `dualwrite` and `shadow` mean that {each.old} answers, `live` and `rampdown` that "
        f"{each.new} does, and `complete` that {each.old} is gone{needed}."
    )


def aborts(about: About) -> Iterator[str]:
    each = about.each
    yield f"{each.new} fails a share of its requests that is more than {TOLERATED} above that of {each.old}"
    yield f"{listed([verify.command for verify in each.verifies], 'or')} fails, having passed before"


def kept(each: Replacement) -> str:
    """What becomes of what was stored meanwhile."""
    if each.kind == "dependency":
        return f"All data: builds with {each.new} and with {each.old} share their stores"
    return (
        f"What {each.new} alone has stored stays with it, and {each.old} doesn't see it; what both share stays as it is"
    )


def reconciliation(about: About) -> str:
    each = about.each
    count = f'increase({REQUESTS}{{replace="{each.name}", side="new"}}[10m])'
    return (
        f"After each step back {count} must be 0, and {each.old} fail no larger a share of its requests than before the ramp; "
        f"no rows are carried. {kept(each)}"
    )


def sampling(about: About) -> str:
    each, steps = about.each, about.module.rollout.steps
    first = next((f"{step:g}% of the {about.whose}s" for step in steps if step is not None), "everybody")
    return f"None of {each.new}'s requests is left out of {REQUESTS}; the first step has {first}"


def risks(about: About) -> Iterator[str]:
    each = about.each
    if each.kind == "architecture":
        yield (
            f"A request that {each.new} fails may have done half of its work: it is never sent to {each.old} as well, and its "
            "caller decides whether to try again."
        )
        yield (
            f"{each.old} and {each.new} may keep state of their own: a {about.whose} that goes back doesn't find in {each.old} "
            f"what {each.new} alone has stored."
        )
    elif each.kind == "infrastructure":
        yield f"Callers that know {each.old} by its address go past the flag: they show as its requests during the soak."
        yield f"{each.new} may hold out at 10% and not at 100%: watch its saturation at each step, beside its errors."
    else:
        yield f"What {each.new} does otherwise than {each.old} and no command tries the ramp's first {about.whose}s meet."
        yield f"Something may pin {each.old} again while both are built: reviews look at the build with {each.new}."


def rules(about: About) -> Iterator[str]:
    each = about.each
    yield f"{each.old} is able to take all requests in every phase before contract"
    if each.strangles:
        yield (
            f"A request is sent to {each.old} or {each.new} once; where the flag service fails, whoever is known stays, and "
            f"others are {each.old}'s"
        )
    yield f"The commands that prove {each.new} stand in the file, are shown before they run, and are read by no shell"


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sentence(text) for text in texts)


def sentence(text: str) -> str:
    """With a capital, where it begins with an article; a name stays as it is written."""
    return text[0].upper() + text[1:] if text.startswith(("the ", "a ", "an ", "requests ")) else text
