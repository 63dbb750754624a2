"""A saved file becomes its rehearsal, held by a process of its own, and that becomes a page."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_GRACE_S: Final = 20.0  # for a server of PostgreSQL to go


# Those that say how much is played, and not what is read, written or connected to.
_OPTIONS: Final = frozenset(["--rows", "--tenants", "--seed", "--rate", "--to"])


async def rehearsed(path: str, options: Sequence[str], tell: Callable[[str], None]) -> str:
    """The rehearsal of the file at `path`, as Markdown; `tell` hears each line of how it goes.

    `options` are names and values as the command line takes them; others than _OPTIONS are left out. Cancelling it ends the
    process, which leaves nothing behind.
    """
    pairs = zip(options[::2], options[1::2], strict=False)
    chosen = [word for name, value in pairs if name in _OPTIONS for word in (name, value)]
    with tempfile.TemporaryDirectory(prefix="migdsl-editor-") as folder:
        page = Path(folder, "rehearsal.md")
        # -P: a module of the project must not stand in for one of ours.
        command = [sys.executable, "-P", "-m", "migdsl", "rehearse", path, "--markdown", str(page), *chosen]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env={**os.environ, "NO_COLOR": "1"}
        )
        try:
            _, complaints = await asyncio.gather(_told(process, tell), _complaints(process))
            await process.wait()
        finally:
            await _ended(process)
        if page.exists():
            return page.read_text(encoding="utf-8")
    return "\n".join(["# No rehearsal was held", "", "```text", complaints.rstrip().replace("```", "'''"), "```", ""])


async def _told(process: asyncio.subprocess.Process, tell: Callable[[str], None]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        if said := line.decode("utf-8", "replace").strip():
            tell(said)


async def _complaints(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode("utf-8", "replace")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
