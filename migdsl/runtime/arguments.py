"""A command line becomes options; what is wrong with it is said without the URLs in it."""

from __future__ import annotations

import argparse
import re
from typing import Final, NoReturn

# A URL that stands where none is expected has a password in it as often as any other.
_SECRET: Final = re.compile(r"[^\s'=]+://[^\s']*|\bpassword=.*", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """As argparse has it, and so are those of its subcommands."""

    def error(self, message: str) -> NoReturn:
        super().error(_SECRET.sub("…", message))
