"""Services, and what is swapped for something else: who isn't declared, what isn't said, what can't be run."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG125",
        severity=Severity.ERROR,
        title="no service of this name is declared",
        why="""\
`affects` names those that a migration has consequences for, and whoever owns them becomes a stakeholder of the plan. \
A name that isn't declared has no owner, and a misspelt one would leave somebody out who should have been told. Declare \
the service, or write the name in quotes where it is none of yours: a report, a partner, a warehouse.""",
        bad="""\
service billing { owner "billing-team" }
impact { affects biling }""",
        good="""\
service billing { owner "billing-team" }
impact { affects billing, "the data warehouse" }""",
        fix="unsafe",
    ),
    Code(
        id="MIG620",
        severity=Severity.ERROR,
        title="this replacement doesn't say all that it takes",
        why="""\
Something is swapped for something else, beside tables or without any, so nothing can be read from a schema: what is \
old and what is new, of which kind it is, how the new is proven, and how one gets back. Each is a step of the plan and \
a line of the runbook; one that is left out would be found out about at night.""",
        bad="""\
replace python_runtime {
  kind dependency
  new  "Python 3.13"
}""",
        good="""\
replace python_runtime {
  kind     dependency
  old      "Python 3.9"
  new      "Python 3.13"
  verify   "the suite passes" run "make test"
  rollback "redeploy the previous image"
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG621",
        severity=Severity.ERROR,
        title="this verification can't be run",
        why="""\
What a `verify` says is proven by a command, which a pipeline runs as it stands: its words are started as a program with \
its arguments, and no shell reads them, so that nothing in it can mean more than it says. Pipes, `&&`, `$VARIABLES` and \
`*` mean something to a shell alone. Put a script of your own there, or start the shell yourself: `sh -c '…'`.""",
        bad="""\
replace python_runtime {
  kind     dependency
  old      "Python 3.9"
  new      "Python 3.13"
  verify   "the suite passes" run "make lint && make test"
  rollback "redeploy the previous image"
}""",
        good="""\
replace python_runtime {
  kind     dependency
  old      "Python 3.9"
  new      "Python 3.13"
  verify   "the suite passes" run "sh -c 'make lint && make test'"
  rollback "redeploy the previous image"
}""",
        fix="none",
    ),
    Code(
        id="MIG622",
        severity=Severity.ERROR,
        title="this is no route that could move",
        why="""\
An architecture is replaced path by path: the router sends requests whose path is at or below a `route` to the new \
application as far as the flag says, and all others to the old one. A path begins with `/`; `{id}` is any one part of \
it. Two routes of which one is below the other would be two answers to one question; infrastructure and dependencies \
have no router, so no routes.""",
        bad="""\
replace order_engine {
  kind     architecture
  old      "the monolith"
  new      "the orders service"
  route    "orders"
  verify   "it is up" run "curl -fsS http://orders.internal/health"
  rollback "nothing: the router is asked again"
}""",
        good="""\
replace order_engine {
  kind     architecture
  old      "the monolith"
  new      "the orders service"
  route    "/orders"
  verify   "it is up" run "curl -fsS http://orders.internal/health"
  rollback "nothing: the router is asked again"
}""",
        fix="none",
    ),
    Code(
        id="MIG623",
        severity=Severity.ERROR,
        title="nothing in this migration measures that",
        why="""\
Conditions speak of metrics. Those of backfills, reconciliations and routers of reads and writes come from tables that \
change; a migration that changes none has none of them, so that the condition could never hold, nor an alert ever fire. \
`replace_errors` is the share of requests that the new fails; other things are measured by a `metric` of your own.""",
        bad="""\
replace python_runtime {
  kind     dependency
  old      "Python 3.9"
  new      "Python 3.13"
  verify   "the suite passes" run "make test"
  rollback "redeploy the previous image"
}
cutover { abort when cutover_errors > 1% for 5m }""",
        good="""\
replace python_runtime {
  kind     dependency
  old      "Python 3.9"
  new      "Python 3.13"
  verify   "the suite passes" run "make test"
  rollback "redeploy the previous image"
}
cutover { abort when replace_errors > 1% for 5m }""",
        fix="none",
    ),
)
