"""Annotated classes become frozen records: what a dataclass would give, made when the first one is needed.

The compiler has more than a hundred kinds of values; making their methods at import would take five times a bare
interpreter's start, and most files need few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

V = TypeVar("V", bound="Value")


@dataclass_transform(frozen_default=True, eq_default=False)
class _Record(type):
    """Makes a class's annotations its slots, and keeps their defaults."""

    FIELDS: tuple[str, ...]

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _Record:
        own = [field for field in space.get("__annotations__", {}) if not field.isupper()]
        inherited: tuple[str, ...] = next((b.FIELDS for b in bases if isinstance(b, _Record)), ())
        defaults: dict[str, object] = {}
        for base in bases:
            defaults |= getattr(base, "DEFAULTS", {})
        defaults |= {field: space.pop(field) for field in own if field in space}
        space |= {"__slots__": tuple(own), "FIELDS": (*inherited, *own), "DEFAULTS": MappingProxyType(defaults)}
        return super().__new__(cls, name, bases, space)


class Value(metaclass=_Record):
    """A frozen record, compared by identity. Fields are the annotations of its class, in their order."""

    FIELDS: ClassVar[tuple[str, ...]]
    DEFAULTS: ClassVar[Mapping[str, object]]

    def __init__(self, *args: Any, **named: Any) -> None:
        made = _initializer(type(self))
        setattr(type(self), "__init__", made)  # noqa: B010 (a class that is asked for the first time)
        made(self, *args, **named)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} can't be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} can't be deleted")

    def __copy__(self: V) -> V:
        return self

    def __deepcopy__(self: V, memo: object) -> V:
        return self

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple(getattr(self, field) for field in self.FIELDS)


def _initializer(of: type[Value]) -> Callable[..., None]:
    """The `__init__` of a class, as one would write it by hand."""
    space: dict[str, Any] = {}
    for field in of.FIELDS:
        space[f"_set_{field}"] = getattr(of, field).__set__
        if field in of.DEFAULTS:
            space[f"_default_{field}"] = of.DEFAULTS[field]
    parameters = ", ".join(f + (f"=_default_{f}" if f in of.DEFAULTS else "") for f in of.FIELDS)
    body = "\n".join(f"  _set_{field}(self, {field})" for field in of.FIELDS) or "  pass"
    # Field names are identifiers, by the grammar of Python.
    exec(f"def __init__(self, {parameters}):\n{body}\n", space)  # noqa: S102
    made: Callable[..., None] = space["__init__"]
    return made


def replace(value: V, /, **changes: Any) -> V:
    """The same value with other fields."""
    fields = {field: getattr(value, field) for field in value.FIELDS}
    return type(value)(**{**fields, **changes})
