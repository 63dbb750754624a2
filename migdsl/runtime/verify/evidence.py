"""Runs become evidence, a JSON file, and evidence becomes the reasons why it doesn't prove what it should."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migdsl.runtime.telemetry.sinks import replace_file
from migdsl.runtime.verify.model import VerifyJob
from migdsl.runtime.verify.run import Ran


def document(job: VerifyJob, runs: Sequence[Ran]) -> dict[str, Any]:
    """What is kept of runs: commands, ends and times; nothing of what they printed, which may hold anything."""
    return {
        "migration": job.migration,
        "digest": job.digest,
        "passed": len(runs) == len(job.checks) and all(ran.outcome == "passed" for ran in runs),
        "checks": [
            {
                "text": ran.check.text,
                "command": list(ran.check.run),
                "outcome": ran.outcome,
                "exit_code": ran.code,
                "reason": ran.why,
                "started": _spoken(ran.started),
                "seconds": ran.seconds,
            }
            for ran in runs
        ],
    }


def write(path: str, job: VerifyJob, runs: Sequence[Ran]) -> None:
    """Replace the file in one step. Raises OSError."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(document(job, runs), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def short(path: str, job: VerifyJob, *, hours: float | None, now: float) -> Iterator[str]:
    """Why the file doesn't prove that every command has passed; nothing where it does. Raises OSError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        digest, checks = found["digest"], {each["text"]: each for each in found["checks"]}
        oldest = min((_time(each["started"]) for each in checks.values()), default=now)
        outcomes = {text: str(each["outcome"]) for text, each in checks.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        yield "it is no evidence of a verification"
        return
    if digest != job.digest:
        yield "it is of other commands: they have changed since, or it belongs to another migration"
        return
    for check in job.checks:
        outcome = outcomes.get(check.text, "was not run")
        if outcome != "passed":
            yield f"{check.text}: {outcome}"
    if hours is not None and now - oldest > hours * 3600:
        yield f"it is {(now - oldest) / 3600:.1f} hours old, and {hours:g} are allowed"


def _spoken(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
