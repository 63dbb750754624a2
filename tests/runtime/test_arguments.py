"""A job's command line, mistyped: what is wrong is said, and no URL."""

from __future__ import annotations

import pytest

from migdsl.runtime.arguments import Parser


@pytest.mark.parametrize(
    "secret", ["postgresql://u:hunter2@h/db", "host=h password=hunter2", "password='hunter2 hunter2'"]
)
@pytest.mark.parametrize("words", [("{}",), ("--batch", "{}"), ("go", "{}"), ("--nothing={}",)])
def test_no_complaint_shows_a_password(secret: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser()
    parser.add_argument("--batch", type=int)
    parser.add_subparsers(required=True).add_parser("go")
    with pytest.raises(SystemExit):
        parser.parse_args([word.format(secret) for word in words])
    said = capsys.readouterr().err
    assert "error: " in said
    assert "hunter2" not in said
