"""The editors' files are fresh, and what they colour is right: by VS Code's own engine, by Shiki, by Vim, by Pygments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Error, Keyword, Name

from migdsl.syntax.colours import TOP, blocks
from migdsl.syntax.errors import parser_keywords
from tests.conftest import needs_tool
from tools.refresh_editors import EDITORS, files, snippets, stale

ROOT = Path(__file__).resolve().parent.parent
CODE = EDITORS / "vscode"
USERS = ROOT / "examples/users.mig"
SAMPLES = sorted([*(ROOT / "examples").rglob("*.mig"), *(ROOT / "tests/cases/format").rglob("*.mig")])


def test_they_are_fresh():
    assert stale(files()) == [], "run python tools/refresh_editors.py"


def test_what_was_changed_by_hand_is_found():
    made = files()
    assert stale({**made, "vim/syntax/mig.vim": "x"}) == ["vim/syntax/mig.vim"]


def test_every_word_of_the_language_is_coloured_somewhere():
    words = {start.word for block in blocks() for start in block.starts} | {w for b in blocks() for w in b.clauses}
    assert parser_keywords() - words == set()
    assert next(block for block in blocks() if block.name == TOP).starts


def node(script: str, said: str) -> list[object]:
    """The JSON lines that one of the extension's own test programs prints."""
    program = needs_tool("node")
    if not (CODE / "node_modules/vscode-textmate").is_dir():
        pytest.skip("the extension's packages are not installed: npm ci --prefix editors/vscode")
    done = subprocess.run(
        [program, f"test/{script}"], cwd=CODE, input=said, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@cache
def scopes() -> dict[str, tuple[list[tuple[str, list[str]]], int]]:
    """Each sample's tokens with their scopes, and how deep the engine still is at the end."""
    found = node("tokens.mjs", "\n".join(map(str, SAMPLES)))
    return {each["file"]: (each["tokens"], each["depth"]) for each in found}  # type: ignore[index]


def test_no_sample_has_an_invalid_scope_and_every_block_ends():
    assert len(scopes()) == len(SAMPLES) > 15
    for file, (tokens, depth) in scopes().items():
        assert [token for token in tokens if any("invalid" in scope for scope in token[1])] == [], file
        assert depth == 1, f"{file}: a block is still open at the end"


def test_words_are_keywords_only_where_they_are(tmp_path: Path):
    text = 'entity A in app.title {\n  stage text key\n  "key" text\n}\nchange A {\n  drop risk after 30d\n}\nnotes "x\n@\n'
    (tmp_path / "a.mig").write_text(text)
    ((found,),) = ([each["tokens"] for each in node("tokens.mjs", str(tmp_path / "a.mig"))],)  # type: ignore[index]
    said = {token.strip(): scopes_[-1] for token, scopes_ in found if token.strip()}
    assert said["stage"] == "variable.other.property.mig"
    assert said['"key"'] == "variable.other.property.mig"
    assert said["key"] == "keyword.other.mig"
    assert said["risk"] == "entity.name.mig"
    assert said["text"] == "support.type.mig"
    assert said['"x'] == "invalid.illegal.unclosed-string.mig"
    assert said["@"] == "invalid.illegal.character.mig"


def test_sql_is_coloured_inside_backticks():
    text = "tenants {\n  list in app `SELECT ``id`` FROM t WHERE x = :tenant_id` # no SELECT\n}\nmetric m = `up` unit count\n"
    (found,) = node("embedded.mjs", text)
    said = {token.strip(): scopes_ for token, scopes_ in found}  # type: ignore[attr-defined]
    assert "keyword.other.DML.sql" in said["SELECT"]
    assert "meta.embedded.block.sql.mig" in said["SELECT"]
    assert said["``"][-1] == "constant.character.escape.mig"
    assert said[":tenant_id"][-1] == "variable.parameter.mig"
    assert said["# no SELECT"][-1] == "comment.line.number-sign.mig"
    assert "meta.embedded.block.promql.mig" in said["up"]
    assert said["unit"][-1] == "keyword.other.mig"


def test_the_extension_is_packaged(tmp_path: Path):
    needs_tool("npm")
    if not (CODE / "node_modules/@vscode/vsce").is_dir():
        pytest.skip("the extension's packages are not installed: npm ci --prefix editors/vscode")
    made = tmp_path / "migdsl.vsix"
    command = ["npm", "run", "--silent", "package", "--", "--out", str(made)]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    names = set(zipfile.ZipFile(made).namelist())
    said = json.loads((CODE / "package.json").read_text())
    wanted = [said["main"], said["contributes"]["grammars"][0]["path"], said["contributes"]["snippets"][0]["path"]]
    wanted += [
        said["contributes"]["languages"][0]["configuration"],
        said["contributes"]["languages"][0]["icon"]["dark"],
    ]
    assert {f"extension/{path.removeprefix('./')}" for path in wanted} <= names
    assert not [name for name in names if "node_modules" in name or "/test/" in name]
    assert node("load.cjs", "") == [["activate", "deactivate"]]


def test_the_version_of_the_extension_is_the_compilers():
    from migdsl import __version__  # beside the only test that asks

    assert json.loads((CODE / "package.json").read_text())["version"] == __version__


def test_a_folder_that_nobody_trusts_has_colours_and_starts_no_program():
    said = json.loads((CODE / "package.json").read_text())["capabilities"]["untrustedWorkspaces"]
    assert (said["supported"], said["restrictedConfigurations"]) == ("limited", ["migdsl.command"])
    source = (CODE / "src/extension.js").read_text()
    assert "if (!vscode.workspace.isTrusted) return;\n  client = new LanguageClient(" in source
    assert "onDidGrantWorkspaceTrust(start)" in source


def test_snippets_are_what_the_language_reads():
    made = snippets()
    assert {"entity", "change", "add", "drop", "cutover"} <= set(made)
    assert made["drop"]["body"] == ["drop ${1:name}"]


# ---------------------------------------------------------------- Vim

_BAD = USERS.read_text(encoding="utf-8").replace("drop email", "drop emial")


def test_vim_finds_what_is_wrong(tmp_path: Path):
    """`:make` runs a check, and its lines become places."""
    program = needs_tool("vim")
    (tmp_path / "a.mig").write_text(_BAD)
    script, out = tmp_path / "t.vim", tmp_path / "out.json"
    script.write_text(
        f"set nocompatible\nlet &rtp = '{EDITORS}/vim,' . &rtp\nfiletype plugin on\nedit a.mig\nsilent make!\n"
        f"call writefile([json_encode(map(getqflist(), '[v:val.lnum, v:val.col, v:val.type, v:val.text]'))], '{out}')\nqa!\n"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [program, "-Nu", "NONE", "-es", "-S", str(script)]
    subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=120, check=False, env={**os.environ, "PATH": path}
    )
    line = _BAD[: _BAD.index("emial")].count("\n") + 1
    (found,) = [each for each in json.loads(out.read_text()) if each[0]]
    assert found[:3] == [line, 8, "e"]
    assert "MIG102" in found[3]


_SCRIPT = """
set nocompatible
let &rtp = '{vim},' . &rtp
filetype plugin on
syntax on
let out = []
for file in {files}
  execute 'edit ' . fnameescape(file)
  for lnum in range(1, line('$'))
    for col in range(1, len(getline(lnum)))
      let name = synIDattr(synIDtrans(synID(lnum, col, 1)), 'name')
      call add(out, [file, lnum, col, getline(lnum)[col - 1], name, synIDattr(synID(lnum, col, 1), 'name')])
    endfor
  endfor
endfor
call writefile([json_encode({{'ft': &ft, 'cms': &commentstring, 'out': out}})], '{to}')
qa!
"""


class Coloured(NamedTuple):
    """A word, where it stands, and what Vim colours it as."""

    line: int
    column: int
    word: str
    group: str


def coloured(tmp_path: Path, *paths: Path) -> tuple[dict[str, str], dict[str, list[Coloured]]]:
    """Per file its words with Vim's group; and what the file type has set."""
    program = needs_tool("vim")
    script, out = tmp_path / "t.vim", tmp_path / "out.json"
    script.write_text(_SCRIPT.format(vim=EDITORS / "vim", files=json.dumps([str(p) for p in paths]), to=out))
    subprocess.run(
        [program, "-Nu", "NONE", "-es", "-S", str(script)], stdin=subprocess.DEVNULL, timeout=120, check=False
    )
    found = json.loads(out.read_text())
    words: dict[str, list[Coloured]] = {}
    last = Coloured(0, 0, "", "")
    for file, line, column, char, group, _ in found["out"]:
        here = words.setdefault(file, [])
        if char.isalnum() or char == "_":
            if (
                here
                and last == here[-1]
                and (line, column) == (last.line, last.column + len(last.word))
                and group == last.group
            ):
                here[-1] = last = last._replace(word=last.word + char)
            else:
                last = Coloured(line, column, char, group)
                here.append(last)
    return found, words


def test_vim_colours_words_names_types_and_sql(tmp_path: Path):
    settings, words = coloured(tmp_path, USERS)
    assert (settings["ft"], settings["cms"]) == ("mig", "# %s")
    said = {each.word: each.group for each in words[str(USERS)]}
    assert {said[word] for word in ("entity", "migration", "stage", "list", "unique", "from", "pii")} == {"Statement"}
    assert {said[word] for word in ("User", "users_email")} == {"Identifier"}
    assert (said["bigint"], said["off"], said["500k"]) == ("Type", "Constant", "Constant")
    assert said["SELECT"] in ("Special", "Statement")
    (email,) = [each for each in words[str(USERS)] if each.word == "coalesce"]
    assert email.group == "Identifier", "a function of SQL"


@pytest.mark.long("MIGDSL_LONG")
def test_vim_finds_the_end_of_every_block(tmp_path: Path):
    """The word that a declaration begins with is coloured as one only outside all blocks."""
    samples = [path for path in SAMPLES if "examples" in path.parts]
    _, words = coloured(tmp_path, *samples)
    assert len(words) > 5
    for file, said in words.items():
        begun = {number for number, line in enumerate(Path(file).read_text().splitlines(), 1) if line[:1].isalpha()}
        heads = [each for each in said if each.column == 1 and each.line in begun]
        assert len(heads) == len(begun) > 3
        assert {each.group for each in heads} == {"Statement"}, file


# ---------------------------------------------------------------- Pygments


def test_pygments_knows_the_files_by_their_name():
    assert get_lexer_for_filename("a.mig").name == get_lexer_by_name("mig").name == "migdsl"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_pygments_reads_every_sample(path: Path):
    text = path.read_bytes().decode("utf-8")
    tokens = list(get_lexer_by_name("mig", stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert [value for kind, value in tokens if kind is Error] == []


def test_pygments_tells_words_from_names():
    text = "entity A in app.a {\n  stage text key\n}\nflag f {\n  stage off for all\n}\n"
    found = [(value, kind) for kind, value in get_lexer_by_name("mig").get_tokens(text) if value.strip()]
    assert ("stage", Name.Variable) in found
    assert ("stage", Keyword) in found
    assert ("off", Name.Constant) in found
    assert ("A", Name.Class) in found
