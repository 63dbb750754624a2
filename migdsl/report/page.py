"""A template's name and a flat view become one HTML file that holds all that it needs and may fetch nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from migdsl import __version__
from migdsl.resources import read_resource, resource_path
from migdsl.values import Value

GENERATOR = "migdsl"  # what the page's meta element begins with; whoever overwrites a page looks for it


class Link(Value):
    """An entry of the contents: the id of a part of the page, its heading, and the parts below it."""

    id: str
    text: str
    parts: tuple[Link, ...] = ()


class Page(Value):
    """What every page says of itself. `over` stands above the heading, `kind` in the bar, `title` in the browser's tab."""

    title: str
    kind: str
    over: str
    heading: str
    contents: tuple[Link, ...]


class Frame(Value):
    """What every page holds: its policy, its styles and its script, both named in the policy by their digests."""

    policy: str
    generator: str
    style: Markup
    script: Markup


def render(template: str, page: Page, view: object) -> str:
    """The template (below `templates/report/`, a child of `base.html.j2`) with `page` and `view` in it.

    All text is escaped: what a view holds can't become markup. The same values give the same bytes.
    """
    return _environment().get_template(template).render(page=page, view=view, frame=_frame())


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(resource_path("templates", "report")),
        undefined=StrictUndefined,
        autoescape=True,
        auto_reload=False,  # they don't change under a running command
    )


@cache
def _frame() -> Frame:
    style, script = (read_resource("templates", f"report/{name}") for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    # Both are our own files, and what they hold stands between its tags as it is, or its digest would be another.
    return Frame(policy, f"{GENERATOR} {__version__}", Markup(style), Markup(script))  # noqa: S704


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
