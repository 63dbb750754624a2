"""Turns the path or module of a generated job file into its JOB, and a JOB into the names that an engine knows it by."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from migdsl.runtime.errors import UsageError, unloadable
from migdsl.runtime.jobs import BackfillJob

# Where the engines' own command lines find the jobs: file paths or modules, separated as PATH is.
JOBS_VARIABLE: Final = "MIGDSL_JOBS"

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]")


def reference_of(job: BackfillJob) -> str:
    """What a message calls the job: `migration/backfill`."""
    return f"{job.migration}/{job.backfill}"


def queue_of(job: BackfillJob) -> str:
    """The job's own queue, in characters that every broker and command line takes; different jobs have different ones."""
    name = f"{job.migration}.{job.backfill}"
    plain = _STRANGE.sub("_", name)[:100]
    if plain != name or "." in job.migration:
        plain += "-" + hashlib.sha256(reference_of(job).encode()).hexdigest()[:8]
    return f"migdsl.{plain}"


def load_job(where: str) -> BackfillJob:
    """The JOB of a file (`backfills/m/user.py`) or module (`backfills.m.user`). Raises UsageError."""
    try:
        module = _module_of(where)
    except Exception as error:
        # A job file is data in the shape of a module: whatever goes wrong in it is the same mistake.
        raise UsageError(f"the job {where!r} can't be loaded: {unloadable(error)}") from error
    job = getattr(module, "JOB", None)
    if not isinstance(job, BackfillJob):
        raise UsageError(f"{where!r} holds no backfill: the generated file of one assigns a BackfillJob to JOB")
    return job


def jobs_of(environment: Mapping[str, str]) -> Mapping[str, BackfillJob]:
    """Reference → job, of all that MIGDSL_JOBS names. Raises UsageError when it names none."""
    named = [where for where in environment.get(JOBS_VARIABLE, "").split(os.pathsep) if where]
    if not named:
        raise UsageError(
            f"no job: set {JOBS_VARIABLE} to the generated files, e.g. {JOBS_VARIABLE}=backfills/m/user.py"
        )
    jobs = [load_job(where) for where in named]
    return MappingProxyType({reference_of(job): job for job in jobs})


def _module_of(where: str) -> ModuleType:
    path = Path(where)
    if path.suffix != ".py":
        return importlib.import_module(where)
    name = f"migdsl_job_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(where)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
