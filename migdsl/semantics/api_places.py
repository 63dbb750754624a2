"""Where an API's versions answer becomes checked paths, header names and media types; so do its routes and its guide."""

from __future__ import annotations

import re

from migdsl.semantics.api_model import Route
from migdsl.semantics.header import again
from migdsl.semantics.problems import Problems
from migdsl.source import Span
from migdsl.syntax import ast

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+"
_BASE = re.compile(rf"(?:/{_SEGMENT})+")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH = re.compile(rf"/|(?:/(?:{_SEGMENT}|{_PARAMETER.pattern}))+")
_MEDIA = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*"
)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_URL = re.compile(
    r"https://(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[\w.~!$&'()*+,;=:@%/?-]*)?(?:#[\w.~!$&'()*+,;=:@%/?-]*)?",
    re.ASCII,
)
# What each strategy's `at` is: what people call it, its form, and an example.
_PLACES = {
    "url": ("path below which it answers", _BASE, "/api/v2"),
    "header": ("value of a header", _VALUE, "2"),
    "media_type": ("media type", _MEDIA, "application/vnd.example.orders.v2+json"),
}


def name(problems: Problems, node: ast.Name) -> None:
    """Report a version's name that headers, metrics and pages would not take."""
    if _NAME.fullmatch(node.text) is None:
        help_ = "1 to 32 ASCII letters, digits, `.`, `_` and `-`, a letter or digit first"
        problems.error(
            "MIG008", node.span, f"`{node.text}` is no name for a version", "not a name everywhere", help=help_
        )


def header(problems: Problems, said: ast.Setting) -> str | None:
    """The request header that names the version, where the strategy is `header`."""
    strategy, text = said.words[0].text, said.texts[0] if said.texts else None
    if strategy != "header":
        if text is not None:
            title = f"strategy `{strategy}` has no header"
            problems.error("MIG805", text.span, title, "names none", help=f"strategy {strategy}")
        return None
    if text is None:
        title = "the file doesn't say which header names the version"
        problems.error("MIG804", said.span, title, "which one?", help='strategy header "api-version"')
        return None
    if _TOKEN.fullmatch(text.value) is None:
        title = f"`{text.value}` is no name of a header"
        problems.error("MIG805", text.span, title, "no header is called so", help='strategy header "api-version"')
        return None
    return text.value.lower()


def place(problems: Problems, node: ast.ApiVersion, strategy: str) -> str | None:
    """Where a version answers; of a header's value the version's name, where the file says nothing."""
    what, form, example = _PLACES[strategy]
    if node.at is None:
        if strategy == "header":
            return node.name.text
        title = f"the file doesn't say where `{node.name.text}` answers"
        help_ = f'version {node.name.text} at "{example}"'
        problems.error("MIG804", node.name.span, title, f"a {what} tells versions apart", help=help_)
        return None
    if form.fullmatch(node.at.value) is None:
        title = f"`{node.at.value}` is no {what}"
        problems.error("MIG805", node.at.span, title, f"the strategy is {strategy}", help=f'at "{example}"')
        return None
    return node.at.value


def routes(problems: Problems, node: ast.Api, strategy: str) -> tuple[Route, ...]:
    """The routes. Where no path tells versions apart, they say which requests are the API's, so there must be one."""
    found = []
    seen: dict[tuple[str, str], Span] = {}
    said = [s for s in node.settings if s.key == "route"]
    for line in said:
        method, path = line.words[0], line.texts[0]
        if method.text not in METHODS:
            problems.unknown("MIG106", "method", method.text, method.span, METHODS)
        parameters = _PARAMETER.findall(path.value)
        if _PATH.fullmatch(path.value) is None or len(set(parameters)) < len(parameters):
            title = f"`{path.value}` is no path of a route"
            label = "one parameter stands twice" if len(set(parameters)) < len(parameters) else "not a path"
            problems.error("MIG806", path.span, title, label, help='route GET "/orders/{id}"')
        # Names of parameters don't tell routes apart.
        key = method.text, _PARAMETER.sub("{}", path.value)
        if key in seen:
            again(problems, line.span, seen[key], f"route {method.text} {path.value}", "the API")
        seen.setdefault(key, line.span)
        found.append(Route(method.text, path.value, line.span))
    if not said and strategy != "url":
        title = f"`{node.name.text}` has no route, and no path tells its requests from others"
        problems.error("MIG804", node.name.span, title, "which requests are its own?", help='route GET "/orders/{id}"')
    return tuple(found)


def guide(problems: Problems, node: ast.Api, said: ast.Setting | None) -> str | None:
    """Where people read what to do."""
    if said is None:
        title = f"the file doesn't say where clients of `{node.name.text}` read what to do"
        help_ = f'guide "https://docs.example.com/{node.name.text}"'
        problems.error("MIG804", node.name.span, title, "has no guide", help=help_)
        return None
    text = said.texts[0]
    if _URL.fullmatch(text.value) is None:
        title = f"`{text.value}` is no https:// address"
        label = "it goes out in headers, to people who don't know you"
        problems.error("MIG807", text.span, title, label, help='guide "https://docs.example.com/orders/v2"')
        return None
    return text.value
