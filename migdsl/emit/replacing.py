"""Replacements become the commands that prove them, as a file that a pipeline runs, and a router in front of two applications."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.python import docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops.replacing import by_request
from migdsl.planning.words import duration, listed
from migdsl.semantics.replacement import Replacement, Verify


def emit(context: EmitContext) -> Iterator[Artifact]:
    """The verifications of all replacements, and the router of the one whose kind is architecture."""
    replacements = context.planned.module.replacements
    if not replacements:
        return
    yield Artifact(context.planned.paths.verify, _verify(context, replacements), "verify")
    for each in replacements:
        if each.strangles:
            yield Artifact(context.planned.paths.routing, _router(context, each), "routing")


def _verify(context: EmitContext, replacements: tuple[Replacement, ...]) -> str:
    path, name = context.planned.paths.verify, context.planned.plan.migration
    news = listed([each.new for each in replacements])
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(
            f"Prove {news}, by the commands of {name}.\n\n"
            f"python {path} --list                     show the commands, run nothing\n"
            f"python {path} --evidence FILE            run them all; FILE says how each ended\n"
            f"python {path} --proven FILE              run nothing; 0 where FILE shows that all have passed\n\n"
            "Each command is started as a program with its arguments; no shell reads it. Exit codes: 0 all passed, 1 one failed, "
            "2 usage, 4 the time was up."
        ),
        "migration": quoted(name),
        "checks": [_check(each, verify) for each in replacements for verify in each.verifies],
    }
    return formatted(render("verify/job.py.j2", view))


def _check(each: Replacement, verify: Verify) -> dict[str, object]:
    return {
        "said": _comment(f"{each.new}, within {duration(verify.seconds)}: {verify.command}"),
        "text": quoted(verify.text),
        "run": names(verify.words),
        "seconds": verify.seconds,
    }


def _comment(text: str) -> str:
    """A text that stays within one line's comment."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def _router(context: EmitContext, each: Replacement) -> str:
    planned = context.planned
    per_client = by_request(planned.module)
    name = planned.plan.migration
    module = planned.paths.routing.removesuffix(".py").replace("/", ".")
    subject = "" if per_client else ', header("x-tenant-id")'
    imported = "OpenFeature" if per_client else "OpenFeature\n    from migdsl.runtime.strangler import header"
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(
            f"Send requests to {each.old} or to {each.new}, as the flag {name} says.\n\n"
            f"    from migdsl.runtime.routing import {imported}\n"
            f"    from {module} import router\n\n"
            f'    flags = OpenFeature.flagd_file("{planned.paths.flags}")\n'
            f'    app = router(old_app, new_app, flags{subject}, metrics_path="/metrics")\n\n'
            f"Both are ASGI applications. Each request is sent once; counters by side and outcome are in app.outcomes.text()."
        ),
        "migration": quoted(name),
        "name": quoted(each.name),
        "routes": names(each.routes),
        "by": quoted("request" if per_client else "tenant"),
        "whose": "client" if per_client else "tenant",
        "default": " (a cookie of its own, where nothing is said)" if per_client else "",
    }
    return formatted(render("routing/strangler.py.j2", view))
