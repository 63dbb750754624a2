"""A broker's queue becomes what waits in it, whichever broker it is: a Redis of our own, or a RabbitMQ."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any, Protocol, cast

Waiting = list[tuple[str, dict[str, str]]]


class Broker(Protocol):
    """What tests ask of a broker. A message is its text as it is stored, and the arguments of the lane."""

    url: str

    def messages(self, queue: str) -> Waiting:
        """All that wait, the oldest first; they stay."""

    def lose(self, queue: str) -> bool:
        """Forgets them; whether there were any."""

    def clear(self, queue: str) -> None:
        """Leaves nothing behind."""


class Redis:
    """A Redis that is the tests' alone."""

    def __init__(self, url: str) -> None:
        import redis  # only with its broker

        self.url = url
        self.client = redis.Redis.from_url(url)

    def messages(self, queue: str) -> Waiting:
        stored = cast("list[bytes]", self.client.lrange(queue, 0, -1))[::-1]
        texts = [each.decode() for each in stored]
        bodies = [json.loads(base64.b64decode(json.loads(text)["body"])) for text in texts]
        return [(text + json.dumps(body), body[1]) for text, body in zip(texts, bodies, strict=True)]

    def lose(self, queue: str) -> bool:
        return self.client.delete(queue) == 1

    def clear(self, queue: str) -> None:  # noqa: ARG002 - all of it is ours
        self.client.flushall()


class Rabbit:
    """A RabbitMQ in which queues of the samples' names are the tests' to empty and to delete."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _connection(self) -> Any:
        import kombu  # only with its broker

        return kombu.Connection(self.url)  # type: ignore[attr-defined, no-untyped-call]

    def messages(self, queue: str) -> Waiting:
        found = []
        # What isn't acknowledged goes back to its place when the connection ends.
        with self._connection() as connection:
            channel = connection.channel()
            with suppress(connection.channel_errors):  # no queue of this name: nothing waits
                while (message := channel.basic_get(queue)) is not None:
                    body = json.loads(message.body)
                    told = json.dumps([dict(message.headers), dict(message.properties), body], default=str)
                    found.append((told, body[1]))
        return found

    def lose(self, queue: str) -> bool:
        with self._connection() as connection:
            return bool(connection.channel().queue_purge(queue))

    def clear(self, queue: str) -> None:
        from kombu import pools  # only with its broker

        with self._connection() as connection, suppress(connection.channel_errors):
            connection.channel().queue_delete(queue)
        # Connections are kept for the process, and remember the queues that they have declared.
        pools.reset()  # type: ignore[no-untyped-call]
