"""An Accept header becomes the version that a client asks for: by quality, and by what names a version exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A media range: type and subtype (lower case, `*` for any), parameters but `q`, and its quality from 0 to 1."""

    type: str
    subtype: str
    parameters: Mapping[str, str]
    quality: float

    def names(self, media: Range) -> bool:
        """Whether it asks for exactly this media type, with all of its parameters."""
        same = (self.type, self.subtype) == (media.type, media.subtype)
        return same and all(self.parameters.get(key) == value for key, value in media.parameters.items())


def ranges(header: str) -> tuple[Range, ...]:
    """The ranges of an Accept header (RFC 9110, 12.5.1); what is none is left out."""
    return tuple(found for part in _split(header, ",") if (found := _range(part)) is not None)


def media_type(text: str) -> Range | None:
    """A Content-Type, or a version's own media type."""
    return _range(text)


def _range(part: str) -> Range | None:
    essence, *rest = _split(part, ";")
    kind, slash, subtype = essence.strip().lower().partition("/")
    if not slash or not kind or not subtype or (kind == "*" and subtype != "*"):
        return None
    parameters: dict[str, str] = {}
    quality = 1.0
    for each in rest:
        key, equals, value = each.strip().partition("=")
        if not equals:
            continue
        if key.strip().lower() == "q":
            quality = _quality(value.strip())
            break  # what follows a q is an extension of Accept, and no parameter of the type
        parameters[key.strip().lower()] = _unquoted(value.strip())
    return Range(kind, subtype, parameters, quality)


def _quality(text: str) -> float:
    """A weight; what is no weight counts as a full one, as if it weren't there."""
    try:
        value = float(text) if text[:1] in "01" and len(text) <= 5 else 1.0
    except ValueError:
        return 1.0
    return value if 0 <= value <= 1 else 1.0


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = iter(text[1:-1])
    return "".join(next(inner, "") if char == "\\" else char for char in inner)


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand in no quoted string."""
    return list(_parts(text, separator))


def _parts(text: str, separator: str) -> Iterator[str]:
    begin, quoted, escaped = 0, False, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char == separator:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def asked(header: str, versions: Mapping[str, str]) -> str | None:
    """The version (of name → media type) that a client would rather have; None where it names none, or refuses all.

    Of two that are as welcome the later one in `versions` is taken: who knows both knows the newer one.
    """
    wanted = ranges(header)
    best: tuple[float, str] | None = None
    for name, media in versions.items():
        own = media_type(media)
        qualities = [r.quality for r in wanted if own is not None and r.names(own)]
        if qualities and max(qualities) > 0 and (best is None or max(qualities) >= best[0]):
            best = max(qualities), name
    return best[1] if best is not None else None
