"""One server's start and end become those of two applications."""

from __future__ import annotations

import asyncio
from typing import Any

from migdsl.runtime.strangler.model import App, Message, Receive, Scope, Send


class _Part:
    """One application's lifespan: what it is told, and what it says."""

    def __init__(self, app: App, scope: Scope, state: dict[str, Any]) -> None:
        self._to: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        own = {**scope, "state": state} if "state" in scope else dict(scope)
        self._task: asyncio.Future[None] = asyncio.ensure_future(app(own, self._to.get, self._said.put))

    async def tell(self, message: Message) -> Message | None:
        """What it answers; None where it has ended: it knows no lifespan, as ASGI allows."""
        await self._to.put(message)
        answer = asyncio.ensure_future(self._said.get())
        waited: set[asyncio.Future[Any]] = {answer, self._task}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return self._said.get_nowait() if not self._said.empty() else None

    async def end(self) -> None:
        """Nothing of it stays behind."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def both(apps: tuple[tuple[App, dict[str, Any]], ...], scope: Scope, receive: Receive, send: Send) -> None:
    """Start and end both; where one fails, the server is told so, with what it said."""
    parts = [_Part(app, scope, state) for app, state in apps]
    try:
        while True:
            message = await receive()
            kind = message["type"]
            answers = [answer for part in parts if (answer := await part.tell(message)) is not None]
            failed = [a for a in answers if a["type"].endswith(".failed")]
            said = "; ".join(str(a.get("message", "")) for a in failed)
            await send({"type": f"{kind}.failed", "message": said} if failed else {"type": f"{kind}.complete"})
            if failed or kind == "lifespan.shutdown":
                return
    finally:
        for part in parts:
            await part.end()
