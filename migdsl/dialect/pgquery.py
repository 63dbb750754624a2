"""SQL text becomes PostgreSQL's own parse tree (as JSON's dicts and lists) and tokens, through libpg_query.

The library comes with the wheel `postgast`. It is called here directly, and its JSON is read, because importing postgast's
protobuf classes takes eight times a bare interpreter's start (docs/decisions/002-parse-tree-as-json.md).
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

Tree = dict[str, Any]
# The library recurses without a limit of its own, so that a longer text could end the process.
MOST_TOKENS = 10_000
_SHORT = 2 * MOST_TOKENS  # bytes; a token has at least one, and is mostly followed by a space
_LIBRARY = {"darwin": "libpg_query.dylib", "win32": "pg_query.dll"}.get(sys.platform, "libpg_query.so")


class SqlError(Exception):
    """PostgreSQL's grammar refuses a text: `message` as PostgreSQL words it, `offset` in characters."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class TooDeepError(SqlError):
    """A text that is too long, or nested too deeply, for anybody to have written it."""


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token: characters `[start, end)`; `kind` 0 is no keyword, 1 unreserved, 2 column name, 3 type or function, 4 reserved."""

    start: int
    end: int
    text: str
    kind: int


class _Error(Structure):
    _fields_ = [
        ("message", c_char_p),
        ("funcname", c_char_p),
        ("filename", c_char_p),
        ("lineno", c_int),
        ("cursorpos", c_int),
        ("context", c_char_p),
    ]


class _ParseResult(Structure):
    _fields_ = [("parse_tree", c_char_p), ("stderr_buffer", c_char_p), ("error", POINTER(_Error))]


class _ScanResult(Structure):
    _fields_ = [("length", c_size_t), ("data", c_void_p), ("stderr_buffer", c_char_p), ("error", POINTER(_Error))]


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("postgast")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = os.path.join(folder, _LIBRARY)
        if os.path.exists(path):
            library = ctypes.CDLL(path)
            break
    else:
        from postgast.native import lib  # built from source: postgast knows where the library is

        library = lib
    library.pg_query_parse.argtypes, library.pg_query_parse.restype = [c_char_p], _ParseResult
    library.pg_query_scan.argtypes, library.pg_query_scan.restype = [c_char_p], _ScanResult
    library.pg_query_free_parse_result.argtypes, library.pg_query_free_parse_result.restype = [_ParseResult], None
    library.pg_query_free_scan_result.argtypes, library.pg_query_free_scan_result.restype = [_ScanResult], None
    return library


def parse(sql: str) -> list[Tree]:
    """The statements of a text. Locations in the tree are byte offsets. Raises SqlError."""
    library, raw = _library(), _encode(sql)
    if len(raw) > _SHORT and len(scan(sql)) > MOST_TOKENS:
        raise TooDeepError(f"it has more than {MOST_TOKENS} words", 0)
    result = library.pg_query_parse(raw)
    try:
        _raise(result.error)
        statements: list[Tree] = json.loads(result.parse_tree.decode("utf-8", "surrogatepass")).get("stmts", [])
        return statements
    except RecursionError:
        raise TooDeepError("it is nested too deeply", 0) from None
    finally:
        library.pg_query_free_parse_result(result)


def scan(sql: str) -> list[Lexeme]:
    """The tokens of a text, comments included. Raises SqlError."""
    library, raw = _library(), _encode(sql)
    result = library.pg_query_scan(raw)
    try:
        _raise(result.error)
        message = ctypes.string_at(result.data, result.length)
    finally:
        library.pg_query_free_scan_result(result)
    at = character_offsets(sql)
    found = []
    for token in _tokens(message):
        start, end = at(token[1]), at(token[2])
        found.append(Lexeme(start, end, sql[start:end], token[5]))
    return found


def character_offsets(sql: str) -> Any:
    """A function from byte offsets of the UTF-8 text to character offsets."""
    if sql.isascii():
        return lambda offset: offset
    table: list[int] = []
    for index, char in enumerate(sql):
        table.extend([index] * len(char.encode()))
    table.append(len(sql))
    return lambda offset: table[min(offset, len(table) - 1)]


def _encode(sql: str) -> bytes:
    if "\x00" in sql:
        raise SqlError("a NUL character can't stand in SQL", sql.index("\x00"))
    try:
        return sql.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SqlError("half a character (a lone surrogate) can't stand in SQL", error.start) from None


def _raise(error: Any) -> None:
    if error:
        found = error.contents
        message = found.message.decode("utf-8", "replace")
        # The parser counts characters, since it takes the text for UTF-8.
        kind = TooDeepError if message.startswith("memory exhausted") else SqlError
        raise kind(message, max(found.cursorpos - 1, 0))


def _tokens(message: bytes) -> list[list[int]]:
    """The tokens of a ScanResult in protobuf's wire format, each a list of its fields' values by number."""
    found: list[list[int]] = []
    at, size = 0, len(message)
    while at < size:
        field, value, at = _field(message, at)
        if field == _MESSAGE:
            stop = at + value
            token = [0, 0, 0, 0, 0, 0]
            while at < stop:
                inner, number, at = _field(message, at)
                token[inner >> 3] = number
            found.append(token)
        elif field & 7 == 2:
            at += value
    return found


_MESSAGE = 2 << 3 | 2  # field 2, length-delimited: a token


def _field(message: bytes, at: int) -> tuple[int, int, int]:
    """A field's key, its value (or length), and where the next begins; both are varints, mostly of one byte."""
    key, value = message[at], message[at + 1]
    if (key | value) < 0x80:
        return key, value, at + 2
    key, at = _varint(message, at)
    value, at = _varint(message, at)
    return key, value, at


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
