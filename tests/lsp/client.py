"""A client of the real server: a process of its own, and the protocol as bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

WAIT = 60.0  # seconds; far more than anything takes, so that a server that hangs fails and doesn't hang


class Client:
    """Starts `migdsl lsp` in a folder; `ask` waits for an answer, `tell` for none."""

    def __init__(self, folder: Path, **capabilities: Any) -> None:
        command = [sys.executable, "-m", "migdsl", "lsp", "--stdio"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)
        self._number = 0
        self._seen: list[dict[str, Any]] = []
        self._read: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.folder = folder
        asked = {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities}
        self.capabilities = self.ask("initialize", asked)["capabilities"]
        self.tell("initialized", {})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def close(self) -> tuple[int, str]:
        """End it as editors do; its exit code, and what it said of itself."""
        self.ask("shutdown", None)
        self.tell("exit", None)
        _, said = self.process.communicate(timeout=WAIT)
        return self.process.returncode, said.decode()

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> None:
        document = {"uri": self.uri(name), "languageId": "mig", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})

    def change(self, name: str, changes: list[dict[str, Any]], version: int = 2) -> None:
        document = {"uri": self.uri(name), "version": version}
        self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def at(self, method: str, name: str, line: int = 0, character: int = 0, **more: Any) -> Any:
        place = {"line": line, "character": character}
        return self.ask(f"textDocument/{method}", {"textDocument": {"uri": self.uri(name)}, "position": place, **more})

    def problems(self, name: str) -> list[dict[str, Any]]:
        """What is published next of a file."""
        method, uri = "textDocument/publishDiagnostics", self.uri(name)
        return list(
            self._until(lambda m: m.get("method") == method and m["params"]["uri"] == uri)["params"]["diagnostics"]
        )

    def seen(self, method: str) -> list[dict[str, Any]]:
        """What the server said meanwhile by one method, in its order."""
        return [each for each in self._seen if each.get("method") == method]

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        answer = self._until(lambda m: m.get("id") == number and "method" not in m)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _until(self, wanted: Any) -> dict[str, Any]:
        for message in self._seen:
            if wanted(message):
                self._seen.remove(message)
                return message
        while True:
            try:
                message = self._read.get(timeout=WAIT)
            except Empty:
                raise AssertionError("the server says nothing") from None
            if wanted(message):
                return message
            self._seen.append(message)
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while line := stream.readline():
            size = 0
            while line.strip():
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
                line = stream.readline()
            self._read.put(json.loads(stream.read(size)))
