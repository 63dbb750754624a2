"""The words of the command line become one command's run, and whatever goes wrong becomes a line and an exit code."""

from __future__ import annotations

import os
import sys

from migdsl import __version__
from migdsl.cli import output

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from migdsl.cli.arguments import Options

_DEBUG = "MIGDSL_DEBUG"


def run(words: list[str]) -> int:
    """The exit code of the command; its output is flushed."""
    try:
        code = _dispatch(words)
        output.flush()
    except KeyboardInterrupt:
        output.complain("interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader has seen enough (`| head`): nothing to say, but nobody knows what it missed.
        output.abandon(sys.stdout)
        return 1
    except output.OutputError as error:
        output.abandon(sys.stdout)
        output.complain(f"error: the output can't be written: {error}\n")
        return 1
    except Exception as error:  # noqa: BLE001 - no input may end in a traceback
        _internal(error)
        return 1
    return code


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        output.say(f"migdsl {__version__}\n")
        return 0
    from migdsl.cli.arguments import UsageError, parse  # --version doesn't need it

    try:
        options = parse(words)
    except UsageError as error:
        output.complain(f"migdsl: {error}\n")
        return 2
    if isinstance(options, str):
        output.say(options)
        return 0
    return _command(options)


def _command(options: Options) -> int:
    from importlib import (
        import_module,
    )  # each command imports what it needs and no more: see "Cost" in the architecture

    module = import_module(f"migdsl.cli.{_MODULES.get(options.command, options.command)}")
    code: int = getattr(module, f"{options.command}_command")(options)
    return code


# Where a command's name can't be its module's.
_MODULES = {
    "apply": "executing",
    "diff": "diffing",
    "finish": "finishing",
    "import": "importing",
    "rehearse": "rehearsing",
    "report": "report_html",
    "rollback": "executing",
    "rollout": "rolling",
    "status": "watching",
}


def _internal(error: Exception) -> None:
    """One line for people; all of it where MIGDSL_DEBUG=1 asks for it."""
    if os.environ.get(_DEBUG) == "1":
        import traceback  # rare

        output.complain("".join(traceback.format_exception(error)))
    place = ""
    step = error.__traceback__
    while step is not None:
        place = f"{os.path.basename(step.tb_frame.f_code.co_filename)}:{step.tb_lineno}"
        step = step.tb_next
    said = str(error).partition("\n")[0][:200]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    output.complain(f"internal error: {output.shown(what)} ({place}); please report this, with what {_DEBUG}=1 shows\n")
