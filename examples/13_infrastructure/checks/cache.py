"""0 where the cache at CACHE_HOST:CACHE_PORT does what sessions need. It speaks the servers' own protocol (RESP), with no client library."""

from __future__ import annotations

import os
import socket
import sys
import uuid


def ask(connection: socket.socket, *words: str) -> str:
    """One command, and the first line of its answer; of a string or a list, the last line of it."""
    parts = [f"*{len(words)}"]
    for word in words:
        parts += [f"${len(word.encode())}", word]
    connection.sendall(("\r\n".join(parts) + "\r\n").encode())
    stream = connection.makefile("rb")
    line = stream.readline().decode().rstrip("\r\n")
    if line.startswith("*") and line != "*0":
        return [value(stream, stream.readline().decode().rstrip("\r\n")) for _ in range(int(line[1:]))][-1]
    return value(stream, line)


def value(stream: object, line: str) -> str:
    """What a line announces."""
    if line.startswith("$") and line != "$-1":
        return stream.read(int(line[1:]) + 2)[:-2].decode()  # type: ignore[attr-defined]
    return line


def main(words: list[str]) -> int:
    """Store, read, forget; or look how memory is freed."""
    where = (os.environ.get("CACHE_HOST", "127.0.0.1"), int(os.environ.get("CACHE_PORT", "6379")))
    with socket.create_connection(where, timeout=10) as connection:
        if words[0] == "--policy":
            found = ask(connection, "CONFIG", "GET", "maxmemory-policy")
            print(f"maxmemory-policy is {found}")
            return found != words[1]
        key = f"check:{uuid.uuid4()}"
        answers = [
            ask(connection, "SET", key, "a session", "EX", "60"),
            ask(connection, "GET", key),
            ask(connection, "DEL", key),
            ask(connection, "GET", key),
        ]
        print(f"stored, read, deleted, read again: {answers}")
        return answers != ["+OK", "a session", ":1", "$-1"]


raise SystemExit(main(sys.argv[1:]))
