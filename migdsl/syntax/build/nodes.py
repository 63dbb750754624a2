"""Small nodes that every construct is made of: names, words, strings, numbers, SQL, types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.diagnostics.suggest import word_meant
from migdsl.source import Span
from migdsl.syntax import ast, lexis
from migdsl.syntax.tree import Token, Tree

Node = Tree


@dataclass(frozen=True, slots=True)
class Context:
    """The file being built, and what was wrong with its literals."""

    path: str
    problems: list[Diagnostic] = field(default_factory=list)

    def span(self, node: Node | Token) -> Span:
        """Where a node or a token stands."""
        return Span(self.path, node.start, node.end)


def subtrees(node: Node, *kinds: str) -> list[Node]:
    """The children of these kinds, in order (all children that are nodes, where no kind is named)."""
    return [c for c in node.children if isinstance(c, Tree) and (not kinds or c.data in kinds)]


def first(node: Node, kind: str) -> Node | None:
    """The first child of this kind."""
    return next(iter(subtrees(node, kind)), None)


def tokens(node: Node, kind: str) -> list[Token]:
    """The child tokens of this kind, in order."""
    return [c for c in node.children if isinstance(c, Token) and c.type == kind]


def name(node: Node, context: Context) -> ast.Name:
    """A name, plain or quoted."""
    token = node.children[0]
    assert isinstance(token, Token)
    quoted = token.type == "STRING"
    text = lexis.quoted_name(token) if quoted else str(token)
    size = len(text.encode("utf-8", "replace"))
    if not text or "\x00" in text or size > 63:
        _complain(
            context, token, "this is no name that PostgreSQL could hold", f"a name has 1 to 63 bytes; this has {size}"
        )
    return ast.Name(text, quoted, context.span(token))


def names(node: Node, context: Context) -> tuple[ast.Name, ...]:
    """All names among a node's children."""
    return tuple(name(child, context) for child in subtrees(node, "name"))


def word(node: Node, context: Context) -> ast.Word:
    """One of a fixed set of words."""
    return ast.Word(str(node.children[0]), context.span(node))


def words(node: Node, context: Context) -> tuple[ast.Word, ...]:
    """All words among a node's children."""
    return tuple(word(child, context) for child in subtrees(node, "word"))


def text(token: Token, context: Context) -> ast.Text:
    """A string with its escapes resolved."""
    value = lexis.string(token)
    if value is None:
        _complain(
            context,
            token,
            "an escape in this string means nothing",
            r"strings are JSON's: `\"`, `\\`, `\n`, `\u00e9`; a backslash itself is written `\\`",
        )
    return ast.Text(value if value is not None else "", context.span(token))


def texts(node: Node, context: Context) -> tuple[ast.Text, ...]:
    """All strings among a node's children."""
    return tuple(text(token, context) for token in tokens(node, "STRING"))


def labels(node: Node, context: Context) -> tuple[ast.Text, ...]:
    """The strings among a node's children, as labels of an enum."""
    found = texts(node, context)
    for token, label in zip(tokens(node, "STRING"), found, strict=True):
        size = len(label.value.encode("utf-8", "replace"))
        if size > 63:
            _complain(
                context,
                token,
                "this is no label that PostgreSQL could hold",
                f"an enum's label has at most 63 bytes; this has {size}",
            )
    return found


def number(token: Token, context: Context) -> ast.Number:
    """A number with its unit, as written."""
    return ast.Number(str(token), context.span(token))


def numbers(node: Node, context: Context) -> tuple[ast.Number, ...]:
    """All numbers among a node's children."""
    return tuple(number(token, context) for token in tokens(node, "NUMBER"))


def sql(token: Token, context: Context) -> ast.Sql:
    """SQL between backticks."""
    span = context.span(token)
    return ast.Sql(token[1:-1].replace("``", "`"), span, Span(span.path, span.start + 1, span.end - 1))


def only_sql(node: Node, context: Context) -> ast.Sql:
    """The one SQL among a node's children."""
    return sql(tokens(node, "SQL")[0], context)


def setting(node: Node, context: Context) -> ast.Setting:
    """A line of a few words, strings and numbers."""
    return ast.Setting(
        str(node.data),
        words(node, context),
        texts(node, context),
        numbers(node, context),
        context.span(node),
    )


def allow(node: Node, context: Context) -> ast.Allow:
    """`allow CODE because "…"`."""
    return ast.Allow(words(node, context)[0], texts(node, context)[0], context.span(node))


def allows(node: Node, context: Context) -> tuple[ast.Allow, ...]:
    """All `allow` among a node's children."""
    return tuple(allow(child, context) for child in subtrees(node, "allow"))


def type_of(node: Node, context: Context) -> ast.Type:
    """A column's type."""
    arguments = first(node, "type_args")
    args = tuple("".join(map(str, arg.children)) for arg in subtrees(arguments, "type_arg")) if arguments else ()
    dimensions = len(subtrees(node, "array"))
    span = context.span(node)
    if node.data == "enum_type":
        called = name(subtrees(node, "name")[0], context)
        return ast.Type(called.text, None, called.quoted, (), "", 0, labels(node, context), span)
    if node.data == "type":
        head, tail = _around(node, "type_args")
        return ast.Type(" ".join(head), None, False, args, " ".join(tail), dimensions, None, span)
    parts = [name(child, context) for child in subtrees(node, "name", "quoted")]
    schema = parts[0].text if len(parts) > 1 else None
    return ast.Type(parts[-1].text, schema, True, args, "", dimensions, None, span)


def _around(node: Node, kind: str) -> tuple[list[str], list[str]]:
    """The words before and after the child of this kind."""
    before: list[str] = []
    after: list[str] = []
    into = before
    for child in subtrees(node):
        if child.data == kind:
            into = after
        elif child.data == "type_word":
            into.append(str(child.children[0]))
    return before, after


def find_type(node: Node, context: Context) -> ast.Type:
    """The type among a node's children."""
    return type_of(subtrees(node, "type", "qualified_type", "quoted_type", "enum_type")[0], context)


def one(found: Iterable[Node]) -> Node | None:
    """The last of what was found: a later line wins, and that there were two is the semantics' to say."""
    return next(reversed(list(found)), None)


def unknown(context: Context, span: Span, kind: str, found: str, known: tuple[str, ...]) -> None:
    """Report words that should have been one of the `known` ones."""
    near = word_meant(found, known)
    help_ = f"did you mean `{near}`?" if near else f"there is: {', '.join(known)}"
    title, fix = f"there is no {kind} `{found}`", fixes.respelling(span, found, known)
    context.problems.append(Diagnostic("MIG106", Severity.ERROR, title, Label(span, "not found"), help=help_, fix=fix))


def _complain(context: Context, token: Token, title: str, help_: str) -> None:
    label = Label(context.span(token), "here")
    context.problems.append(Diagnostic("MIG008", Severity.ERROR, title, label, help=help_))
