"""Template names and flat views become text. Templates decide nothing: an unknown variable is an error."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from migdsl.resources import resource_path


@cache
def _environment() -> Environment:
    folder = resource_path("templates", "")
    # What is made is Python and Markdown, whose escaping the views do: HTML's would only spoil it.
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=False,
        keep_trailing_newline=True,
        auto_reload=False,  # they don't change under a running compiler
    )


def render(template: str, view: dict[str, object]) -> str:
    """The template with the view's values in it."""
    return _environment().get_template(template).render(view)
