"""What all parts of a plan share: frozen, nothing but the declared fields, canonical JSON."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a plan. Unknown fields are refused; values can't be changed."""

    # A plan file always holds all fields, those with a default too, and its schema says so.
    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, json_schema_serialization_defaults_required=True
    )


def canonical(part: Part) -> str:
    """The part as JSON: sorted keys, two spaces, ASCII, a newline at the end; the same bytes for the same plan."""
    return json.dumps(part.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
