"""A move of the flag changes its lines and nothing else of the file."""

from __future__ import annotations

import pytest

from migdsl.folding.stages import Audience, moved
from migdsl.source import SourceFile

HEAD = 'migration m { ticket "X-1" }  # a comment\n'
ONE, TWO = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11", "0b0f3c5e-2f4b-4a38-9b54-3d0b2f3f6f10"
ALL, CANARY = Audience("all"), Audience("canary")


def share(percent: str) -> Audience:
    return Audience("percent", percent)


def named(*tenants: str) -> Audience:
    return Audience("tenants", "", tenants)


def block(*lines: str) -> str:
    return HEAD + "\n# why\nflag m {\n" + "".join(f"  {line}\n" for line in lines) + "}  # end\n"


@pytest.mark.parametrize(
    ("before", "stage", "audience", "after"),
    [
        (["stage off for all  # now"], "dualwrite", ALL, ["stage dualwrite for all  # now"]),
        (["stage shadow for all", "stage live for canary"], "live", ALL, ["stage live for all"]),
        (["stage shadow for all", "stage live for 5%", "stage live for canary"], "off", ALL, ["stage off for all"]),
        (["stage live for canary", "stage live for 5%"], "shadow", ALL, ["stage shadow for all"]),
        (["stage off for all"], "shadow", CANARY, ["stage off for all", "stage shadow for canary"]),
        (
            ["stage off for all", "# it", "stage shadow for canary"],
            "live",
            CANARY,
            ["stage off for all", "# it", "stage live for canary"],
        ),
        (["stage shadow for all", "stage live for canary"], "shadow", CANARY, ["stage shadow for all"]),
        (["stage off for all", "stage live for 1%"], "live", share("10%"), ["stage off for all", "stage live for 10%"]),
        (
            ["stage off for all", "stage live for 1%"],
            "shadow",
            share("10%"),
            ["stage off for all", "stage live for 1%", "stage shadow for 10%"],
        ),
        (
            ["stage off for all", "stage shadow for 10%"],
            "live",
            share("10%"),
            ["stage off for all", "stage live for 10%"],
        ),
        (
            ["stage off for all", f'stage shadow for tenants "{ONE}", "{TWO}"'],
            "live",
            named(ONE),
            ["stage off for all", f'stage shadow for tenants "{TWO}"', f'stage live for tenants "{ONE}"'],
        ),
        (
            ["stage off for all", f'stage shadow for tenants "{ONE}"', f'stage live for tenants "{TWO}"'],
            "live",
            named(ONE, TWO),
            ["stage off for all", f'stage live for tenants "{ONE}", "{TWO}"'],
        ),
        (["stage off for all"], "off", CANARY, ["stage off for all"]),
        (['allow MIG603 because "x"'], "shadow", ALL, None),
        ([], "shadow", ALL, None),
    ],
)
def test_lines(before: list[str], stage: str, audience: Audience, after: list[str] | None) -> None:
    found = moved(SourceFile("m.mig", block(*before)), "m", stage, audience)
    if after is not None:
        assert found == block(*after)
    else:
        assert f"stage {stage} for {audience.words}" in found
    # It is there now, so that a second move changes nothing; and what isn't of the flag is as it was.
    assert moved(SourceFile("m.mig", found), "m", stage, audience) == found
    assert found.startswith(HEAD + "\n# why\nflag m {")
    assert found.endswith("}  # end\n")


def test_a_block_on_one_line() -> None:
    text = HEAD + "flag m { stage off for all; stage shadow for canary; stage live for 5% }\n"
    found = moved(SourceFile("m.mig", text), "m", "live", ALL)
    assert found == HEAD + "flag m { stage live for all }\n"
    found = moved(SourceFile("m.mig", text), "m", "shadow", named(ONE))
    assert found == text.replace(" }\n", f'; stage shadow for tenants "{ONE}" }}\n').replace('"X-1";', '"X-1"')


def test_without_a_block() -> None:
    assert moved(SourceFile("m.mig", HEAD), "m", "off", ALL) == HEAD
    assert (
        moved(SourceFile("m.mig", HEAD), "m", "shadow", CANARY) == HEAD + "\nflag m {\n  stage shadow for canary\n}\n"
    )


def test_line_ends_stay() -> None:
    text = block("stage off for all").replace("\n", "\r\n")
    assert moved(SourceFile("m.mig", text), "m", "shadow", CANARY) == block(
        "stage off for all", "stage shadow for canary"
    ).replace("\n", "\r\n")
