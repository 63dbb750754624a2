"""The real server, as a process, asked by the protocol: each feature once, columns as the client counts them, bad texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lsp.client import Client
from tools.fuzz_inputs import make

ROOT = Path(__file__).resolve().parent.parent.parent
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
ALL = {"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}}


@pytest.fixture
def client(tmp_path: Path):
    with Client(tmp_path) as made:
        yield made


def place(text: str, part: str) -> tuple[int, int]:
    at = text.index(part)
    return text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1


def test_problems_come_and_go_as_one_types(client: Client):
    client.open("a.mig", USERS)
    assert client.problems("a.mig") == []
    line, character = place(USERS, "30d")
    end = {"line": line, "character": character + 3}
    client.change("a.mig", [{"range": {"start": {"line": line, "character": character}, "end": end}, "text": "30days"}])
    (found,) = client.problems("a.mig")
    assert found["range"]["start"] == {"line": line, "character": character}
    assert (found["code"], found["severity"], found["source"]) == ("MIG008", 1, "migdsl")
    context = {"textDocument": {"uri": client.uri("a.mig")}, "range": found["range"], "context": {"diagnostics": []}}
    (action,) = client.ask("textDocument/codeAction", context)
    assert action["isPreferred"]
    (edit,) = action["edit"]["changes"][client.uri("a.mig")]
    assert edit["newText"] == "30d"
    client.change("a.mig", [{"text": USERS}], 3)
    assert client.problems("a.mig") == []


def test_each_feature_answers(client: Client):
    client.open("a.mig", USERS)
    document = {"textDocument": {"uri": client.uri("a.mig")}}
    where = place(USERS, "contact_email")
    assert "**expand**" in client.at("hover", "a.mig", *place(USERS, "add contact"))["contents"]["value"]
    items = client.at("completion", "a.mig", *place(USERS, "contact_email"))["items"]
    assert all(item["textEdit"]["newText"] for item in items)
    assert [each["range"]["start"]["line"] for each in client.at("definition", "a.mig", *where)] == [where[0]]
    assert len(client.at("references", "a.mig", *where, context={"includeDeclaration": True})) == 2
    assert len(client.at("references", "a.mig", *where, context={"includeDeclaration": False})) == 1
    assert client.at("prepareRename", "a.mig", *where)["placeholder"] == "contact_email"
    changes = client.at("rename", "a.mig", *where, newName="mail")["changes"][client.uri("a.mig")]
    assert [each["newText"] for each in changes] == ["mail", "mail"]
    assert [each["name"] for each in client.ask("textDocument/documentSymbol", document)][3:5] == [
        "entity User",
        "change User",
    ]
    assert {"startLine": place(USERS, "entity")[0], "endLine": place(USERS, "rows")[0], "kind": "region"} in client.ask(
        "textDocument/foldingRange", document
    )
    assert len(client.ask("textDocument/semanticTokens/full", document)["data"]) % 5 == 0
    hints = client.ask("textDocument/inlayHint", {**document, "range": ALL})
    assert [each["label"] for each in hints] == ["expand · backfill · validate · enforce", "expand · contract"]
    lenses = client.ask("textDocument/codeLens", document)
    assert [each["command"]["title"] for each in lenses] == ["show the plan", "rehearse"]
    assert all(each["command"]["arguments"] == [client.uri("a.mig")] for each in lenses)
    options = {"options": {"tabSize": 2, "insertSpaces": True}}
    assert client.ask("textDocument/formatting", {**document, **options}) == []
    page = client.ask("workspace/executeCommand", {"command": "migdsl.plan", "arguments": [client.uri("a.mig")]})
    assert "Expand: make room" in page
    code, said = client.close()
    assert (code, said) == (0, "")


def test_a_saved_file_is_rehearsed_and_progress_is_shown(tmp_path: Path):
    with Client(tmp_path, window={"workDoneProgress": True}) as client:
        client.open("a.mig", USERS)
        command = {"command": "migdsl.rehearse", "arguments": [client.uri("a.mig")]}
        assert client.ask("workspace/executeCommand", command).startswith("# Save the file first")
        (tmp_path / "a.mig").write_text(USERS, encoding="utf-8")
        few = [client.uri("a.mig"), "--to", "expand", "--rows", "20", "--tenants", "3", "--keep", "1"]
        assert "# Rehearsal" in client.ask("workspace/executeCommand", {**command, "arguments": few})
        shown = [each["params"]["value"] for each in client.seen("$/progress")]
        assert shown[0]["title"] == "rehearsing a.mig"
        assert [each["kind"] for each in shown][-1] == "end"
        assert any("expand" in each.get("message", "") for each in shown)
        wrong = USERS.replace("entity User", "entity Usr")
        client.change("a.mig", [{"text": wrong}])
        (tmp_path / "a.mig").write_text(wrong, encoding="utf-8")
        page = client.ask("workspace/executeCommand", command)
        assert page.startswith("# No rehearsal was held")
        assert "MIG101" in page


def test_a_rename_that_makes_no_sense_is_refused(client: Client):
    client.open("a.mig", USERS)
    with pytest.raises(RuntimeError, match="there is a column `username` already"):
        client.at("rename", "a.mig", *place(USERS, "contact_email"), newName="username")


def test_used_files_are_read_from_the_disk_and_from_the_editor(client: Client):
    begin, end = USERS.index("database app"), USERS.index("change User")
    shared, main = USERS[begin:end], 'use "shared.mig"\n' + USERS[:begin] + USERS[end:]
    (client.folder / "shared.mig").write_text(shared, encoding="utf-8")
    client.open("a.mig", main)
    assert client.problems("a.mig") == []
    (target,) = client.at("definition", "a.mig", *place(main, "User {"))
    assert target["uri"] == client.uri("shared.mig")
    client.open("shared.mig", shared.replace("  email ", "  mail "))
    assert client.problems("shared.mig") == []
    assert "MIG102" in {each["code"] for each in client.problems("a.mig")}
    renamed = client.at("rename", "shared.mig", *place(shared, "User in"), newName="Person")["changes"]
    assert set(renamed) == {client.uri("a.mig"), client.uri("shared.mig")}


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 20), ("utf-16", 18), ("utf-32", 17)])
def test_columns_are_as_the_client_counts_them(tmp_path: Path, encoding: str, column: int):
    text = 'metric "😀" = `x` unit ratio\n'
    with Client(tmp_path, general={"positionEncodings": [encoding]}) as client:
        assert client.capabilities["positionEncoding"] == encoding
        client.open("a.mig", text)
        found = client.at("hover", "a.mig", 0, column + 1)["range"]
        assert found["start"]["character"] == column
        assert found["end"]["character"] == column + len("unit")


def test_no_text_ends_it(client: Client):
    asked = 0
    client.open("a.mig", "")
    for number in range(60):
        data = make(11, number).data
        if len(data) > 20_000:
            continue
        text = data.decode("utf-8", "replace") if number % 3 else data.decode("utf-8", "surrogateescape")
        client.change("a.mig", [{"text": text}], number + 2)
        line = text.count("\n") // 2
        for method in ("completion", "hover", "definition", "prepareRename"):
            client.at(method, "a.mig", line, 3)
        for method in ("documentSymbol", "semanticTokens/full", "codeLens"):
            client.ask(f"textDocument/{method}", {"textDocument": {"uri": client.uri("a.mig")}})
        asked += 1
    assert asked > 20
    client.change("a.mig", [{"text": USERS}], 999)
    line, character = place(USERS, "contact_email")
    assert client.at("prepareRename", "a.mig", line, character)["placeholder"] == "contact_email"
    assert client.close()[0] == 0
