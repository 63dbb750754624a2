"""What an emitter hands over: plain data becomes one generated file's text under its path."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_UNSAFE = re.compile("[\x7f-\uffff]")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A generated file: `path` (relative, with `/`), `text` (ends with a newline) and `kind`.

    Kinds: `flags`, `alerts`, `dashboard`, `prometheus_rules`, `prometheus_tests`, `revision`, …
    """

    path: str
    text: str
    kind: str


def canonical_json(value: object) -> str:
    """`value` as JSON text: sorted keys, two spaces, a newline at the end; equal values give equal bytes.

    Non-ASCII characters are escaped, except those beyond U+FFFF: Grafana and Prometheus read these files with a YAML
    parser, and YAML rejects the pair of surrogate escapes that JSON would need. Raises ValueError for NaN and infinity.
    """
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
