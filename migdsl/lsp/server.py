"""An editor's requests, over standard input and output, become answers of a session."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from lsprotocol import types as t
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from migdsl import __version__
from migdsl.lsp import actions, wire
from migdsl.lsp.navigate import NotRenamed, reading_of
from migdsl.lsp.places import UTF16, Places
from migdsl.lsp.plan_page import plan_page
from migdsl.lsp.rehearsing import rehearsed
from migdsl.lsp.session import Checked, Open, Session, checked, in_memory
from migdsl.lsp.shape import folds, kinds, symbols
from migdsl.source import Span
from migdsl.syntax.unit import Files
from migdsl.workspace import compile_files

PAUSE = 0.15  # seconds without a keystroke before a file is checked
PLAN, REHEARSE = "migdsl.plan", "migdsl.rehearse"
_MOST_FILES = 300  # of a folder that are searched for references
_SKIPPED = frozenset(["node_modules", "__pycache__", "venv"])


class At(Protocol):
    """A request about a place in a file."""

    text_document: t.TextDocumentIdentifier
    position: t.Position


class MigServer(LanguageServer):
    """The open files of one editor. `session` answers; checks run beside, one at a time, and never of an old text."""

    def __init__(self, open_files: Open = in_memory) -> None:
        super().__init__("migdsl", __version__)
        self.session = Session(open_files)
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        self.checking = asyncio.Lock()
        self.tasks: set[asyncio.Task[None]] = set()
        self.rehearsing = asyncio.Lock()

    @property
    def encoding(self) -> str:
        """How the client counts columns."""
        said = self.workspace.position_encoding
        return str(getattr(said, "value", said) or UTF16)

    def places(self, name: str) -> Places:
        """The lines of a file, open or not."""
        text = self.session.texts.get(name)
        return Places(self.session.files(name)[name] if text is None else text, self.encoding)

    def at(self, params: At) -> tuple[str, int]:
        """The file and the offset that a request is about."""
        name = name_of(params.text_document.uri)
        return name, self.places(name).offset(params.position.line, params.position.character)

    def wire(self) -> wire.Wire:
        """What writes this client's answers."""
        return wire.Wire(self.places, uri_of)

    async def check(self, name: str) -> Checked:
        """The check of a file as it is now, made in a thread of its own."""
        async with self.checking:
            while True:
                found = self.session.known(name)
                if found is not None:
                    return found
                text, files = self.session.texts.get(name, ""), self.session.files(name)
                made = await asyncio.get_running_loop().run_in_executor(None, checked, files, name)
                if self.session.texts.get(name, "") == text:
                    self.session.remember(name, text, made)
                    return made

    async def publish(self, name: str) -> None:
        """Check a file and show what is wrong with it, unless it has been changed meanwhile."""
        if name not in self.session.texts:
            return
        made = await self.check(name)
        if name not in self.session.texts:
            return
        first = next((ln for ln in reading_of(self.session.texts[name]).lines if ln.rule() == "use"), None)
        elsewhere = Span(name, first.start if first else 0, first.end if first else 0)
        written = self.wire()
        shown = [written.diagnostic(each, name, elsewhere) for each in made.compilation.diagnostics]
        self.text_document_publish_diagnostics(t.PublishDiagnosticsParams(uri_of(name), shown))

    def later(self, name: str, pause: float = PAUSE) -> None:
        """Check a file once nobody has typed for a moment."""
        loop = asyncio.get_running_loop()
        if name in self.waiting:
            self.waiting.pop(name).cancel()
        self.waiting[name] = loop.call_later(pause, self._begin, name)

    def _begin(self, name: str) -> None:
        self.waiting.pop(name, None)
        task = asyncio.get_running_loop().create_task(self.publish(name))
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            said = f"a check failed: {type(error).__name__}; please report this"
            self.window_log_message(t.LogMessageParams(t.MessageType.Error, said))

    def neighbours(self) -> tuple[str, ...]:
        """Other files of the folder, in which a shared name may stand."""
        return (*self.session.texts, *_sources(self.workspace.root_path or os.getcwd()))


def name_of(uri: str) -> str:
    """The path of a file by its address, relative to where the server runs; what is no file goes by its address."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = unquote(parts.path)
    if os.name == "nt":
        path = path.lstrip("/")
    try:
        return os.path.relpath(path).replace(os.sep, "/")
    except ValueError:
        return path


def uri_of(name: str) -> str:
    """The address of a file."""
    if "://" in name or name.startswith("untitled:"):
        return name
    path = os.path.abspath(name).replace(os.sep, "/")
    return f"file://{'' if path.startswith('/') else '/'}{quote(path)}"


def _sources(folder: str) -> Iterable[str]:
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in _SKIPPED)
        found += [
            os.path.relpath(os.path.join(base, n)).replace(os.sep, "/") for n in sorted(names) if n.endswith(".mig")
        ]
        if len(found) >= _MOST_FILES:
            break
    return found[:_MOST_FILES]


def serve(open_files: Open = in_memory) -> None:
    """Answer on standard input and output until the client is done."""
    # Copies, since both are closed at the end, and what is behind the command may still have to say something.
    with os.fdopen(os.dup(0), "rb") as stdin, os.fdopen(os.dup(1), "wb") as stdout:
        server(open_files).start_io(stdin, stdout)


def server(open_files: Open = in_memory) -> MigServer:
    """A server with all that it knows to answer."""
    made = MigServer(open_files)
    for register in (_texts, _looks, _names, _shapes, _changes, _marks, _commands):
        register(made)
    return made


def _texts(ls: MigServer) -> None:
    """Files are opened, changed, closed."""

    def take(uri: str, pause: float) -> None:
        name = name_of(uri)
        ls.session.put(name, ls.workspace.get_text_document(uri).source)
        for each in ls.session.texts:  # those that use it are other files too
            ls.later(each, pause if each == name else pause + PAUSE)

    @ls.feature(t.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: t.DidOpenTextDocumentParams) -> None:
        take(params.text_document.uri, 0)

    @ls.feature(t.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: t.DidChangeTextDocumentParams) -> None:
        take(params.text_document.uri, PAUSE)

    @ls.feature(t.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: t.DidSaveTextDocumentParams) -> None:
        take(params.text_document.uri, 0)

    @ls.feature(t.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def moved(_: t.DidChangeWatchedFilesParams) -> None:
        ls.session.changed()
        for each in ls.session.texts:
            ls.later(each)

    @ls.feature(t.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: t.DidCloseTextDocumentParams) -> None:
        ls.session.drop(name_of(params.text_document.uri))
        ls.text_document_publish_diagnostics(t.PublishDiagnosticsParams(params.text_document.uri, []))


def _looks(ls: MigServer) -> None:
    """What is there, and what may be written."""

    @ls.feature(t.TEXT_DOCUMENT_HOVER)
    async def hover(params: t.HoverParams) -> t.Hover | None:
        name, offset = ls.at(params)
        await ls.check(name)
        found = ls.session.hover(name, offset)
        if found is None:
            return None
        return t.Hover(t.MarkupContent(t.MarkupKind.Markdown, found.text), ls.wire().range(found.span))

    @ls.feature(t.TEXT_DOCUMENT_COMPLETION, t.CompletionOptions(trigger_characters=["`", '"', ".", ">"]))
    def complete(params: t.CompletionParams) -> t.CompletionList:
        name, offset = ls.at(params)
        written, found, items = ls.wire(), ls.session.complete(name, offset), []
        places = ls.places(name)
        for number, each in enumerate(found):
            item = written.item(each, number)
            item.text_edit = t.TextEdit(written.within(places, each.start, each.end), each.text)
            items.append(item)
        return t.CompletionList(is_incomplete=False, items=items)


def _names(ls: MigServer) -> None:
    """Where names are declared and used."""

    @ls.feature(t.TEXT_DOCUMENT_DEFINITION)
    def definition(params: t.DefinitionParams) -> list[t.Location]:
        return [ls.wire().location(each) for each in ls.session.definition(*ls.at(params))]

    @ls.feature(t.TEXT_DOCUMENT_REFERENCES)
    def references(params: t.ReferenceParams) -> list[t.Location]:
        found = ls.session.references(*ls.at(params), ls.neighbours())
        wanted = [each for each in found if params.context.include_declaration or not each.name.declares]
        return [ls.wire().location(each.span) for each in wanted]

    @ls.feature(t.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(params: t.PrepareRenameParams) -> t.PrepareRenamePlaceholder | None:
        name, offset = ls.at(params)
        try:
            found = ls.session.renameable(name, offset)
        except NotRenamed:
            return None
        return t.PrepareRenamePlaceholder(ls.wire().range(Span(name, found.start, found.end)), found.text)

    @ls.feature(t.TEXT_DOCUMENT_RENAME, t.RenameOptions(prepare_provider=True))
    def rename(params: t.RenameParams) -> t.WorkspaceEdit:
        try:
            return ls.wire().workspace_edit(ls.session.rename(*ls.at(params), params.new_name, ls.neighbours()))
        except NotRenamed as error:
            raise JsonRpcException(str(error), t.LSPErrorCodes.RequestFailed.value) from None


def _shapes(ls: MigServer) -> None:
    """The outline of a file."""

    def of(params: t.DocumentSymbolParams | t.FoldingRangeParams | t.SemanticTokensParams) -> tuple[str, Places]:
        name = name_of(params.text_document.uri)
        return ls.session.texts.get(name, ""), ls.places(name)

    @ls.feature(t.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def outline(params: t.DocumentSymbolParams) -> list[t.DocumentSymbol]:
        text, places = of(params)
        return [wire.symbol(each, places) for each in symbols(reading_of(text))]

    @ls.feature(t.TEXT_DOCUMENT_FOLDING_RANGE)
    def folding(params: t.FoldingRangeParams) -> list[t.FoldingRange]:
        text, places = of(params)
        return [wire.fold(each, places) for each in folds(reading_of(text))]

    @ls.feature(t.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, wire.LEGEND)
    def tokens(params: t.SemanticTokensParams) -> t.SemanticTokens:
        text, places = of(params)
        return t.SemanticTokens(wire.tokens(kinds(reading_of(text)), places))


def _changes(ls: MigServer) -> None:
    """What may be changed."""

    @ls.feature(t.TEXT_DOCUMENT_FORMATTING)
    def layout(params: t.DocumentFormattingParams) -> list[t.TextEdit]:
        name = name_of(params.text_document.uri)
        return ls.wire().edits(actions.laid_out(name, ls.session.texts.get(name, "")))

    @ls.feature(t.TEXT_DOCUMENT_RANGE_FORMATTING)
    def part(params: t.DocumentRangeFormattingParams) -> list[t.TextEdit]:
        name, wanted = name_of(params.text_document.uri), params.range
        last = wanted.end.line - (wanted.end.character == 0 and wanted.end.line > wanted.start.line)
        return ls.wire().edits(actions.laid_out(name, ls.session.texts.get(name, ""), wanted.start.line, last))

    @ls.feature(
        t.TEXT_DOCUMENT_CODE_ACTION,
        t.CodeActionOptions(code_action_kinds=[t.CodeActionKind.QuickFix, t.CodeActionKind.SourceFixAll]),
    )
    async def mend(params: t.CodeActionParams) -> list[t.CodeAction]:
        name = name_of(params.text_document.uri)
        await ls.check(name)
        places, written = ls.places(name), ls.wire()
        start = places.offset(params.range.start.line, params.range.start.character)
        end = places.offset(params.range.end.line, params.range.end.character)
        return [_action(written, each) for each in ls.session.actions(name, start, end)]


def _action(written: wire.Wire, each: actions.Action) -> t.CodeAction:
    return t.CodeAction(
        each.title,
        kind=t.CodeActionKind.QuickFix if each.problem is not None else t.CodeActionKind.SourceFixAll,
        is_preferred=each.safe and each.problem is not None,
        edit=written.workspace_edit(each.edits),
    )


def _marks(ls: MigServer) -> None:
    """What stands beside and above lines."""

    @ls.feature(t.TEXT_DOCUMENT_INLAY_HINT)
    async def hints(params: t.InlayHintParams) -> list[t.InlayHint]:
        name = name_of(params.text_document.uri)
        known = (await ls.check(name)).becomes
        places, reading = ls.places(name), reading_of(ls.session.texts.get(name, ""))
        found = [(t.Position(*places.place(each.at)), each) for each in actions.hints(reading, name, known)]
        wanted = params.range
        return [
            t.InlayHint(at, each.text, tooltip=each.tip, padding_left=True)
            for at, each in found
            if wanted.start.line <= at.line <= wanted.end.line
        ]

    @ls.feature(t.TEXT_DOCUMENT_CODE_LENS)
    def lenses(params: t.CodeLensParams) -> list[t.CodeLens]:
        uri = params.text_document.uri
        name = name_of(uri)
        places, reading = ls.places(name), reading_of(ls.session.texts.get(name, ""))
        return [
            t.CodeLens(
                wire.Wire.within(places, each.start, each.end), t.Command(each.title, each.command, arguments=[uri])
            )
            for each in actions.lenses(reading)
        ]


def _commands(ls: MigServer) -> None:
    """What a lens does: both answer with a page of Markdown."""

    @ls.command(PLAN)
    async def plan(uri: str) -> str:
        name = name_of(uri)
        return await asyncio.get_running_loop().run_in_executor(None, _planned, ls.session.files(name), name)

    @ls.command(REHEARSE)
    async def rehearse(uri: str, *options: str) -> str:
        name = name_of(uri)
        if not _saved(name, ls.session.texts.get(name)):
            return "# Save the file first\n\nA rehearsal plays the file as it is on the disk.\n"
        if ls.rehearsing.locked():
            return "# A rehearsal is being held\n\nThe next one can begin when it ends.\n"
        async with ls.rehearsing:
            token = str(uuid.uuid4())
            shown = await _progress(ls, token, name)
            try:
                return await rehearsed(name, options, shown)
            finally:
                if token in ls.work_done_progress.tokens:
                    ls.work_done_progress.end(token, t.WorkDoneProgressEnd())


def _saved(name: str, text: str | None) -> bool:
    """Whether the disk has what the editor shows."""
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            return text is None or file.read() == text
    except (OSError, UnicodeDecodeError):
        return False


async def _progress(ls: MigServer, token: str, name: str) -> Callable[[str], None]:
    """What shows how far it is; nothing, where the client has nowhere to show it."""
    window = ls.client_capabilities.window
    if window is None or not window.work_done_progress:
        return lambda _line: None
    await ls.work_done_progress.create_async(token)
    ls.work_done_progress.begin(token, t.WorkDoneProgressBegin(f"rehearsing {os.path.basename(name)}"))
    return lambda line: ls.work_done_progress.report(token, t.WorkDoneProgressReport(message=line))


def _planned(files: Files, name: str) -> str:
    found = compile_files(files, name)
    if found.plan is not None:
        return plan_page(found.plan)
    wrong = [f"- {each.code}: {each.title}" for each in found.diagnostics]
    return "\n".join(["# There is no plan yet", "", *(wrong or ["This file has no migration."])]) + "\n"
