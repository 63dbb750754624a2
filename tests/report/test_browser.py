"""Pages in a real Chromium: nothing is asked of a network, nothing overflows, all of it works by keyboard and for a reader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import needs_tool
from tests.report.browser import Browser, Page, browser
from tests.report.pages import NAMES, ROOT, page_of

AXE = ROOT / "editors/vscode/node_modules/axe-core/axe.min.js"
pytestmark = pytest.mark.needs_tool("chromium")

# All pages unfolded, in both themes, take minutes, most of them spent on the words of SQL.
EVERYTHING = os.environ.get("MIGDSL_ALL_PAGES") == "1"

# What reaches beyond the right edge without a box of its own around it that scrolls.
TOO_WIDE = """
[...document.querySelectorAll("body *:not(pre *, .unseen, thead *, thead)")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(needs_tool("chromium"), tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path):
    """A way to open an example's page."""

    def open_page(name: str, **how):
        path = tmp_path / f"{name}.html"
        path.write_text(page_of(name), encoding="utf-8")
        return chromium.page(path, **how)

    return open_page


# What is said to those who don't see, as soon as anything is.
SAID = """
new Promise((done) => {
  const look = () => { const said = document.getElementById("said").textContent; said ? done(said) : setTimeout(look, 20); };
  look();
})
"""


def unfold(page: Page, which: str = "details") -> None:
    page.evaluate(f"document.querySelectorAll('{which}').forEach((each) => {{ each.open = true; }})")


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_and_asks_for_nothing(opened, name: str):
    with opened(name) as page:
        for width in (1280, 820, 390) if name == "users_email" else (1280, 390):
            page.wide(width)
            assert page.evaluate("innerWidth") == width
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width
            assert page.evaluate(TOO_WIDE) == [], width
        if EVERYTHING or name in ("users_email", "events_index"):
            unfold(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.evaluate(TOO_WIDE) == []
        assert page.complaints() == []
        assert len(page.requests()) == 1


def test_a_page_that_does_not_fit_or_asks_for_more_is_found(chromium: Browser, tmp_path: Path):
    path = tmp_path / "bad.html"
    bad = f'<p id="bad">{"x" * 900}</p><img src="https://192.0.2.1/x.png" alt=""><script>broken()</script></body>'
    path.write_text(page_of("events_index").replace("</body>", bad), encoding="utf-8")
    with chromium.page(path, width=390) as page:
        page.evaluate("document.getElementById('bad').style.width = '900px'")
        assert page.evaluate("document.documentElement.scrollWidth") > 390
        assert page.evaluate(TOO_WIDE) != []
        assert len([said for said in page.complaints() if "Content Security Policy" in said]) >= 2


AXED = [(name, theme) for name in NAMES for theme in ("light", "dark")] if EVERYTHING else [("users_email", "light")]


def violations(page: Page) -> list[object]:
    """What axe finds, with the first elements of each."""
    page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    short = "(r) => [r.passes.length, r.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html)])]"
    passed, found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']}}).then({short})")
    assert passed > 0
    return found


@pytest.mark.parametrize(("name", "theme"), AXED)
def test_axe_finds_nothing(opened, name: str, theme: str):
    if not AXE.is_file():
        pytest.skip("the extension's packages are not installed: npm ci --prefix editors/vscode")
    with opened(name, theme=theme) as page:
        unfold(page, "details" if EVERYTHING else "#systems details, #phase-backfill details")
        assert violations(page) == []


def test_it_is_whole_without_scripts(opened):
    with opened("users_email", scripts=False) as page:
        assert page.evaluate("[...document.querySelectorAll('button')].filter((b) => b.checkVisibility()).length") == 0
        assert page.evaluate("document.querySelector('.contents a').checkVisibility()")
        assert page.evaluate("document.body.innerText.includes('alembic upgrade users_email_expand')")


def test_the_theme_changes_and_is_kept(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened("events_index", theme="dark") as page:
        dark = page.evaluate(ground)
        page.evaluate("document.getElementById('theme').click()")
        light = page.evaluate(ground)
        assert (dark, light) == ("rgb(20, 23, 26)", "rgb(255, 255, 255)")
        assert page.evaluate("document.getElementById('theme').textContent") == "Dark"
        assert page.evaluate("localStorage.getItem('migdsl-theme')") == "light"
        page.evaluate("localStorage.removeItem('migdsl-theme')")


def test_the_keyboard_gets_everywhere(opened):
    focused = "document.activeElement.textContent.trim() + '|' + document.activeElement.tagName"
    with opened("users_email") as page:
        page.press("Tab")
        assert page.evaluate(focused) == "Skip to the content|A"
        assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
        page.press("Enter")
        assert page.evaluate("document.activeElement.id || location.hash.slice(1)") == "main"
        seen = []
        for _ in range(12):
            page.press("Tab")
            seen.append(page.evaluate("document.activeElement.tagName"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert {"SUMMARY", "PRE", "BUTTON"} <= set(seen)


def test_a_command_is_copied(chromium: Browser, opened):
    chromium.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    with opened("users_email") as page:
        page.evaluate("document.querySelector('#phase-expand button[data-copy]').focus()")
        page.press("Enter")
        assert page.evaluate(SAID) == "Copied"
        page.call("Page.bringToFront")
        assert page.evaluate("navigator.clipboard.readText()") == "alembic upgrade users_email_expand"


def test_print_is_light_unfolded_and_without_the_contents(opened):
    pre = "document.querySelector('#phase-expand .sql > div > pre').checkVisibility()"
    with opened("users_email", theme="dark") as page:
        assert not page.evaluate(pre)
        page.media("dark", "print")
        assert page.evaluate(pre)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.evaluate("document.querySelector('.contents').checkVisibility()")
        assert not page.evaluate(
            "[...document.querySelectorAll('button, .machinery')].some((each) => each.checkVisibility())"
        )


def test_no_colour_is_named_outside_the_list_of_colours():
    style = page_of("events_index").partition("<style>")[2].partition("</style>")[0]
    rules = style.partition("*, *::before")[2]
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl", rules) == []
