"""Inputs on the standard input, a line of seconds and base64 each, become lines of JSON: what the compiler did wrong."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import black  # noqa: E402 - see above

from migdsl.cli.run import run  # noqa: E402
from migdsl.diagnostics import Severity  # noqa: E402
from migdsl.diagnostics.catalog import all_codes  # noqa: E402
from migdsl.diagnostics.render_json import render_json  # noqa: E402
from migdsl.diagnostics.render_text import render_text  # noqa: E402
from migdsl.formatting import assert_equivalent, format_source  # noqa: E402
from migdsl.source import SourceFile  # noqa: E402
from migdsl.workspace import check, compile_files  # noqa: E402

SMALL = 200_000  # bytes; what is larger is checked and formatted, and not compiled
_CODES = frozenset(all_codes())


class WrongError(AssertionError):
    """The compiler ended, and said something that can't be."""


def must(holds: bool, what: str) -> None:
    """Raise WrongError with these words where it doesn't hold."""
    if not holds:
        raise WrongError(what)


def checked(text: str) -> None:
    """What is said of a text has known codes, places inside of it, and can be shown."""
    found = check({"a.mig": text}, "a.mig")
    for each in found.diagnostics:
        must(each.code in _CODES, f"unknown code {each.code}")
        for label in (each.primary, *each.secondary):
            must(
                label is None or 0 <= label.span.start <= label.span.end <= len(text),
                f"{each.code} is outside the file",
            )
    render_text(found.diagnostics, found.sources, colour=False)
    render_json(found.diagnostics, found.sources)


def laid_out(text: str) -> None:
    """What can be formatted is formatted once and for all, and says the same."""
    found = format_source(SourceFile("a.mig", text))
    must(not found.diagnostics or found.text == text, "fmt changed a file with errors")
    if not found.diagnostics:
        must(format_source(SourceFile("a.mig", found.text)).text == found.text, "fmt changes what it has formatted")
        assert_equivalent(text, found.text)


def compiled(text: str) -> None:
    """Either an error or all files, never half of them."""
    found = compile_files({"a.mig": text}, "a.mig")
    failed = any(d.severity is Severity.ERROR for d in found.diagnostics)
    must(bool(found.artifacts) is not (failed or found.finished is not None), "files and errors")


def commanded(data: bytes, words: tuple[str, ...], codes: tuple[int, ...]) -> None:
    """A command on the bytes as a file says what it has to say and ends with one of these codes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.mig")
        path.write_bytes(data)
        out, err = io.StringIO(), io.StringIO()
        before = Path.cwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run([*words, "a.mig"])
        finally:
            os.chdir(before)
    must("internal error" not in err.getvalue(), err.getvalue().strip()[-300:])
    must(code in codes, f"{' '.join(words)} exits with {code}")
    if "json" in words:
        json.loads(out.getvalue())


def tried(data: bytes) -> None:
    """All that is done with an input."""
    commanded(data, ("check", "--format", "json"), (0, 1))
    if len(data) > SMALL:
        commanded(data, ("fmt",), (0, 1))  # which proves by itself that the result says the same and stays
        return
    text = data.decode("utf-8", "surrogateescape").replace("\udcff", "\ud800")  # editors may send half a character
    checked(text)
    with contextlib.suppress(UnicodeEncodeError):
        text.encode()
        laid_out(text)
        compiled(text)


class Late(BaseException):
    """An input took more than its time."""


def late(*_: object) -> NoReturn:
    """What the timer does."""
    raise Late


def verdict(data: bytes, patience: float) -> tuple[str, str]:
    """What went wrong, by the place where it did; empty where nothing did. `patience`: CPU seconds that it may take."""
    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, patience)
    try:
        tried(data)
    except Late as error:
        return "hang", f"more than {patience:g} s\n" + "".join(traceback.format_tb(error.__traceback__)[-8:])
    except MemoryError:
        return "memory", ""
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        if isinstance(error, WrongError):
            return f"wrong: {error}", ""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "migdsl" in frame.filename] or list(frames)
        place = f"{Path(ours[-1].filename).name}:{ours[-1].name}"
        return f"{type(error).__name__} in {place}", "".join(traceback.format_exception(error)[-6:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "", ""


def main() -> None:
    """Until the input ends."""
    limit = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Black takes nine tenths of a compile, and has fuzzers of its own; the text is parsed as Python all the same.
    black.format_str = lambda text, **_: text
    for line in sys.stdin.buffer:
        patience, _, data = line.partition(b" ")
        signature, detail = verdict(base64.b64decode(data), float(patience))
        sys.stdout.write(json.dumps({"signature": signature, "detail": detail}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
