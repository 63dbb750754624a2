"""What was seen of a column becomes a JSON snapshot, and two of them become what the system does otherwise now."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from migdsl.runtime.errors import UsageError
from migdsl.runtime.pinning.jobs import PinJob

VERSION: Final = 1
FEW: Final = 100  # rows; a share of fewer says nothing
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A column as it was seen: rows and tenants that were looked at, shares by kind of value, the number of rows by value
    (None where there are too many values, or they are nobody's business), and a digest of each trigger on the table."""

    rows: int
    tenants: int
    classes: Mapping[str, int]
    values: Mapping[str, int] | None = None
    triggers: Mapping[str, str] = field(default_factory=dict)


def beside(test: str) -> Path:
    """Where the snapshot of a test's file stands."""
    return Path(test).with_suffix(".snapshot.json")


def load(path: Path) -> dict[str, Seen]:
    """What was recorded, by column; nothing where there is no file. Raises UsageError for one that is no snapshot."""
    try:
        shape = json.loads(path.read_text(encoding="utf-8"))
        if shape["version"] != VERSION:
            raise UsageError(f"{path} was recorded by another version: record it anew")
        return {column: Seen(**_fields(found)) for column, found in shape["columns"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no snapshot: was a merge left unfinished?") from None


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("rows", "tenants", "classes", "values", "triggers")}


def store(path: Path, job: PinJob, found: Mapping[str, Seen]) -> None:
    """Write what was seen, all or nothing; the same bytes for the same observations."""
    shape = {
        "version": VERSION,
        "migration": job.migration,
        "entity": job.entity,
        "columns": {column: asdict(seen) for column, seen in found.items()},
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}~")
    temporary.write_text(json.dumps(shape, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def differences(job: PinJob, column: str, before: Seen, now: Seen) -> Iterator[str]:
    """What the column does otherwise than it did, one sentence each."""
    name = f"{job.entity}.{column}"
    if before.rows == 0:
        if now.rows:
            yield f"{name}: {now.rows} rows are there, and the snapshot has seen none"
        return
    yield from (f"{name}: {text}" for text in _shares(job, before, now, before.classes, now.classes))
    if before.values is not None and now.values is None:
        yield f"{name}: there are many more different values than the {len(before.values)} that the snapshot knows"
    elif before.values is not None and now.values is not None:
        yield from (f"{name}: {text}" for text in _shares(job, before, now, before.values, now.values, quoted=True))
    for trigger in sorted({*before.triggers, *now.triggers}):
        was, is_ = before.triggers.get(trigger), now.triggers.get(trigger)
        if was != is_:
            how = "is gone" if is_ is None else "is new" if was is None else "does something else"
            yield f"{name}: the trigger {trigger}, which may write it, {how}"


def _shares(
    job: PinJob, before: Seen, now: Seen, was: Mapping[str, int], is_: Mapping[str, int], *, quoted: bool = False
) -> Iterator[str]:
    shown = 0
    for each in sorted({*was, *is_}):
        old, new = was.get(each, 0) / before.rows, is_.get(each, 0) / max(now.rows, 1)
        called = f"the value {each!r}" if quoted else each
        enough = min(before.rows, now.rows) >= FEW
        if each not in was:
            said = f"{is_[each]} of {now.rows} rows hold {called}, which none did"
        elif each not in is_ and old >= job.least and enough:
            said = f"no row holds {called} any more, which {old:.1%} did"
        elif abs(new - old) > job.tolerance and enough:
            said = f"{new:.1%} of the rows hold {called}, which {old:.1%} did"
        else:
            continue
        shown += 1
        if shown > _SHOWN:
            yield "and more of that kind"
            return
        yield said
