"""Artifacts, manifest and disk: what is written, what is refused, and that a failure leaves nothing behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from migdsl.cli.changes import Comparison, collisions, compare
from migdsl.cli.inputs import digest
from migdsl.cli.manifest import Entry, Manifest, decode, encode, path_of
from migdsl.cli.paths import Outside, resolve
from migdsl.cli.problems import refusals
from migdsl.cli.writer import NotUndone, write
from migdsl.emit.artifact import Artifact
from tests.cli.conftest import tree

FRESH = Manifest("m.mig", {"m.mig": "00"}, {"through": None}, "1.2.3")


def files(**texts: str) -> list[Artifact]:
    """Artifacts by name; `d__x` stands for the path `d/x`, and what begins with `rev` is a revision."""
    return [Artifact(n.replace("__", "/"), t, "revision" if n.startswith("rev") else "plan") for n, t in texts.items()]


def compared(root: Path, artifacts: Iterable[Artifact], protected: Iterable[Path] = ()) -> Comparison:
    return compare(str(root), "m", artifacts, FRESH, {str(path) for path in protected})


def put(root: Path, artifacts: Iterable[Artifact], *, force: bool = False) -> list[str]:
    """What a compile does with them; the titles of its refusals, and then nothing is written."""
    found = compared(root, artifacts)
    refused = refusals(str(root), found.conflicts, force=force)
    if not refused:
        write(str(root), found.changes)
    return [each.title for each in refused]


def states(comparison: Comparison) -> dict[str, str]:
    return {change.path: change.state for change in comparison.changes}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "all" / "deep" / "out"


def test_files_are_written_with_their_folders(root: Path):
    assert put(root, files(a="1\n", d__e__b="ä\n")) == []
    assert {name: data for name, (data, _) in tree(root).items() if name != path_of("m")} == {
        "a": b"1\n",
        "d/e/b": "ä\n".encode(),
    }
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o666 & ~mask


def test_what_stays_the_same_is_not_touched(root: Path):
    put(root, files(a="1\n", b="1\n"))
    before = tree(root)
    os.utime(root / "a", ns=(1, 1))
    assert put(root, files(a="1\n", b="2\n")) == []
    assert (root / "a").stat().st_mtime_ns == 1
    assert (root / "b").read_bytes() == b"2\n"
    assert before[path_of("m")] != tree(root)[path_of("m")]


def test_the_mode_of_a_file_survives(root: Path):
    put(root, files(a="1\n"))
    (root / "a").chmod(0o600)
    put(root, files(a="2\n"))
    assert (root / "a").read_bytes() == b"2\n"
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o600


def test_a_file_of_a_person_stops_everything(root: Path):
    root.mkdir(parents=True)
    (root / "b").write_text("mine\n")
    (root / "c").write_text("mine too\n")
    before = tree(root)
    (said,) = compared(root, files(a="1\n", b="2\n", c="3\n")).conflicts[:1]
    assert (said.path, said.reason) == ("b", "foreign")
    (refused,) = refusals("out", compared(root, files(a="1\n", b="2\n", c="3\n")).conflicts, force=False)
    assert refused.code == "MIG702"
    assert "  b\n  c\n" in refused.body
    assert put(root, files(a="1\n", b="2\n", c="3\n")) == ["2 files are here that migdsl did not write"]
    assert tree(root) == before
    assert put(root, files(a="1\n", b="2\n", c="3\n"), force=True) == []
    assert (root / "b").read_text() == "2\n"


def test_a_file_that_says_the_same_is_adopted(root: Path):
    root.mkdir(parents=True)
    (root / "a").write_text("1\n")
    assert put(root, files(a="1\n")) == []
    assert put(root, files(a="2\n")) == []
    assert (root / "a").read_text() == "2\n"


def test_an_edited_file_is_not_overwritten(root: Path):
    put(root, files(a="1\n"))
    (root / "a").write_text("mine\n")
    before = tree(root)
    for text in ("1\n", "2\n"):
        assert put(root, files(a=text)) == ["`a` was changed by hand since migdsl wrote it"]
    assert tree(root) == before
    assert put(root, files(a="mine\n")) == []


def test_a_stale_file_goes_with_its_folders(root: Path):
    put(root, files(a="1\n", d__e__b="1\n", d__c="1\n"))
    assert put(root, files(a="1\n", d__c="1\n")) == []
    assert sorted(tree(root)) == [path_of("m"), "a", "d/c"]
    assert not (root / "d/e").exists()
    (root / "d/notes").write_text("mine\n")
    assert put(root, files(a="1\n")) == []
    assert sorted(tree(root)) == [path_of("m"), "a", "d/notes"]


def test_a_stale_file_that_was_edited_stays(root: Path):
    put(root, files(a="1\n", b="1\n"))
    (root / "b").write_text("mine\n")
    assert states(compared(root, files(a="1\n")))["b"] == "kept"
    assert put(root, files(a="1\n")) == []
    assert (root / "b").read_text() == "mine\n"
    assert "b" not in decode((root / path_of("m")).read_bytes(), str(root)).files


def test_a_released_revision_is_never_taken_away_silently(root: Path):
    put(root, files(a="1\n", rev1="1\n"))
    before = tree(root)
    assert put(root, files(a="2\n")) == ["`rev1` was released, and this compile would take it away"]
    assert tree(root) == before
    assert put(root, files(a="2\n"), force=True) == []
    assert sorted(tree(root)) == [path_of("m"), "a"]


def test_a_revision_that_is_gone_already_stops_nobody(root: Path):
    put(root, files(a="1\n", rev1="1\n"))
    (root / "rev1").unlink()
    assert put(root, files(a="2\n")) == []


def test_a_source_is_never_overwritten(root: Path):
    root.mkdir(parents=True)
    (root / "m.mig").write_text("migration m\n")
    found = compared(root, [Artifact("m.mig", "1\n", "plan")], [root / "m.mig"])
    assert [each.code for each in refusals("out", found.conflicts, force=True)] == ["MIG702"]


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "../x", "a/../../x", "a/./b", "a//b", "", "a\\..\\x", "c:x", "a\0b", "a\nb", ".migdsl/x", ".MIGDSL/x"],
)
def test_a_path_stays_inside(root: Path, tmp_path: Path, path: str):
    root.mkdir(parents=True)
    assert put(root, [Artifact(path, "1\n", "plan")], force=True) == [f"`{path}` leaves the output folder"]
    assert tree(tmp_path / "all") == {}


def test_a_link_leads_nowhere_else(root: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("mine\n")
    root.mkdir(parents=True)
    (root / "d").symlink_to(outside)
    (root / "f").symlink_to(outside / "f")
    (root / "dangling").symlink_to(outside / "new")
    for name in ("d/x", "d/e/x", "f", "dangling"):
        with pytest.raises(Outside):
            resolve(str(root), name)
        assert put(root, [Artifact(name, "1\n", "plan")], force=True) == [f"`{name}` leaves the output folder"]
    assert {name: data for name, (data, _) in tree(outside).items()} == {"f": b"mine\n"}


def test_a_manifest_behind_a_link_is_not_ours(root: Path, tmp_path: Path):
    root.mkdir(parents=True)
    (tmp_path / "all/outside").mkdir()
    (root / ".migdsl").symlink_to(tmp_path / "all/outside")
    assert put(root, files(a="1\n"), force=True) == [f"`{path_of('m')}` leaves the output folder"]
    assert tree(tmp_path / "all") == {}


def test_links_inside_are_followed(root: Path):
    (root / "real").mkdir(parents=True)
    (root / "d").symlink_to("real")
    assert put(root, files(d__x="1\n")) == []
    assert (root / "real/x").read_text() == "1\n"
    both = compared(root, files(d__y="1\n", real__y="1\n"))
    assert [(each.path, each.reason) for each in collisions([both])] == [("real/y", "twice")]


def test_upper_and_lower_case_are_one_file_somewhere(root: Path):
    found = collisions([compared(root, files(a="1\n", A="1\n"))])
    assert [(each.path, each.detail) for each in found] == [("a", "`A`")]
    assert collisions([compared(root, files(a="1\n", b="1\n"))]) == ()


STEPS = [("replace", n) for n in (1, 2, 3, 4)] + [("chmod", 1), ("chmod", 3), ("mkdir", 2), ("rename", 1), ("open", 4)]


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str, call: int, error: BaseException) -> Iterator[None]:
    """The `call`th use (from 1) of a function of `os` fails, and all others work."""
    real: Callable[..., Any] = getattr(os, name)
    calls = count(1)

    def fails_once(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise error
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fails_once)
        yield
    assert next(calls) > call, "the function was never called that often"


@pytest.mark.parametrize(("name", "call"), STEPS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_on_the_way_leaves_everything_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int, error: BaseException
):
    put(root, files(a="1\n", b="1\n", old="1\n"))
    (root / "notes").write_text("mine\n")
    before, folders = tree(root), sorted(path for path in root.rglob("*") if path.is_dir())
    wanted = files(a="2\n", b="2\n", new__folder__c="1\n")
    with failing(monkeypatch, name, call, error), pytest.raises(type(error)):
        put(root, wanted)
    assert tree(root) == before
    assert sorted(path for path in root.rglob("*") if path.is_dir()) == folders
    assert put(root, wanted) == []
    assert sorted(tree(root)) == [path_of("m"), "a", "b", "new/folder/c", "notes"]


def test_a_folder_that_was_made_for_nothing_is_gone(root: Path, monkeypatch: pytest.MonkeyPatch):
    with failing(monkeypatch, "replace", 2, OSError(28, "full")), pytest.raises(OSError, match="full"):
        put(root, files(a="1\n", d__b="1\n"))
    assert not root.parent.exists()


def test_what_could_not_be_put_back_is_named(root: Path, monkeypatch: pytest.MonkeyPatch):
    put(root, files(a="1\n", b="1\n"))
    found = compared(root, files(a="2\n", b="2\n")).changes
    real = os.replace

    def broken(source: str, target: str) -> None:
        if target.endswith("/b") or Path(target).read_text() == "2\n":
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(NotUndone) as caught:
        write(str(root), found)
    assert caught.value.left == (str(root / "b"), str(root / "a"))


def test_a_disk_without_links_will_do(root: Path, monkeypatch: pytest.MonkeyPatch):
    put(root, files(a="1\n", b="1\n"))

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert put(root, files(a="2\n", b="2\n")) == []
    assert (root / "a").read_text() == "2\n"
    assert sorted(tree(root)) == [path_of("m"), "a", "b"]
    with failing(monkeypatch, "replace", 2, OSError(28, "full")), pytest.raises(OSError, match="full"):
        put(root, files(a="3\n", b="3\n"))
    assert ((root / "a").read_text(), (root / "b").read_text()) == ("2\n", "2\n")


def test_a_file_that_appears_meanwhile_is_spared(root: Path):
    found = compared(root, files(a="1\n", b="1\n")).changes
    root.mkdir(parents=True)
    (root / "b").write_text("mine\n")
    with pytest.raises(FileExistsError):
        write(str(root), found)
    assert {name: data for name, (data, _) in tree(root).items()} == {"b": b"mine\n"}


def test_a_folder_in_the_way_is_an_error(root: Path):
    put(root, files(a="1\n"))
    before = tree(root)
    (root / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        put(root, files(a="2\n", b="1\n"))
    with pytest.raises(OSError, match="a"):
        put(root, files(b__c="1\n", a__c="1\n"))
    assert tree(root) == before
    assert sorted(path.name for path in root.iterdir()) == [".migdsl", "a", "b"]


def test_a_manifest_survives_the_way_to_disk_and_back(root: Path):
    put(root, files(d__a="1\n", rev1="2\n"))
    data = (root / path_of("m")).read_bytes()
    manifest = decode(data, str(root))
    assert encode(manifest) == data
    assert (manifest.main, manifest.sources, manifest.options) == ("m.mig", {"m.mig": "00"}, {"through": None})
    assert {path: entry.kind for path, entry in manifest.files.items()} == {"d/a": "plan", "rev1": "revision"}


@pytest.mark.parametrize(
    "broken",
    [
        b"<<<<<<< HEAD\n{}\n",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"compiler":"1","files":{},"main":"m","options":{},"sources":{},"version":2}',
        b'{"compiler":"1","files":{"a":"00"},"main":"m","options":{},"sources":{},"version":1}',
        b'{"compiler":"1","files":{"a":{"digest":1,"kind":"plan"}},"main":"m","options":{},"sources":{},"version":1}',
        b'{"compiler":"1","files":[],"main":"m","options":{},"sources":{},"version":1}',
        b'{"compiler":"1","files":{},"main":"m","options":{},"sources":[],"version":1}',
    ],
)
def test_a_broken_manifest_stops_everything(root: Path, broken: bytes):
    put(root, files(a="1\n"))
    (root / path_of("m")).write_bytes(broken)
    said = put(root, files(a="1\n"))
    assert said == ["the manifest can't be used, so nobody knows which files are migdsl's own"]
    assert (root / path_of("m")).read_bytes() == broken
    assert put(root, files(a="1\n"), force=True) == []
    assert put(root, files(a="2\n")) == []


def test_a_manifest_can_not_have_a_file_elsewhere_deleted(root: Path, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    put(root, files(a="1\n"))
    manifest = decode((root / path_of("m")).read_bytes(), str(root))
    evil = replace(manifest, files={"../../../victim": Entry(digest(b"mine\n"), "plan")})
    (root / path_of("m")).write_bytes(encode(evil))
    assert put(root, files(a="1\n")) == ["the manifest can't be used, so nobody knows which files are migdsl's own"]
    assert put(root, files(a="1\n"), force=True) == []
    assert victim.read_text() == "mine\n"
