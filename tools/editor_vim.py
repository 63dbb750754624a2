"""The grammar's words become Vim's syntax, file type and settings: Neovim reads the same files."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.syntax.colours import LOOSE, TOP, Block, Start, blocks, types

_MADE = '" Made by tools/refresh_editors.py from grammar/: change those, not this file.'
_NAME = r'%(\h\w*|"%([^"\\]|\\.|"")*")'
_BEGIN = r"%(%(^|[{;])\s*)@<="
_HEAD = r'%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@='
_COMMON = "migComment,migSql,migString,migNumber,migOperator,migLoose"
_LINKS = {
    "migComment": "Comment",
    "migString": "String",
    "migNumber": "Number",
    "migOperator": "Operator",
    "migTick": "Delimiter",
    "migWord": "Statement",
    "migName": "Identifier",
    "migClause": "Keyword",
    "migType": "Type",
    "migValue": "Constant",
    "migHeadClause": "Keyword",
    "migHeadType": "Type",
    "migBrace": "Delimiter",
    "migParameter": "Special",
}


def vim() -> dict[str, str]:
    """The files below editors/vim, by path."""
    return {"syntax/mig.vim": _syntax(), "ftdetect/mig.vim": _DETECT, "ftplugin/mig.vim": _PLUGIN}


_DETECT = f"""{_MADE}
autocmd BufRead,BufNewFile *.mig setfiletype mig
"""
_PLUGIN = f"""{_MADE}
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal commentstring=#\\ %s comments=:# expandtab shiftwidth=2 softtabstop=2 formatoptions-=t
setlocal iskeyword=@,48-57,_ suffixesadd=.mig include=^\\s*use\\s
if executable("migdsl")
  setlocal formatprg=migdsl\\ fmt\\ -
  setlocal makeprg=migdsl\\ check\\ --format\\ github\\ %:S
  " The lines that GitHub takes: ::error file=a.mig,line=1,endLine=1,col=2,endColumn=3,title=...::...
  let &l:errorformat = '::%trror file=%f\\,line=%l\\,endLine=%*\\d\\,col=%c\\,endColumn=%*\\d\\,title=%m'
        \\ . ',::%tarning file=%f\\,line=%l\\,endLine=%*\\d\\,col=%c\\,endColumn=%*\\d\\,title=%m'
        \\ . ',::%trror file=%f\\,line=%l\\,endLine=%*\\d\\,title=%m,::%tarning file=%f\\,line=%l\\,endLine=%*\\d\\,title=%m'
endif
let b:undo_ftplugin = "setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< formatoptions< iskeyword<"
      \\ . " suffixesadd< include< formatprg< makeprg< errorformat<"
"""


def _syntax() -> str:
    lines = [_MADE, 'if exists("b:current_syntax")', "  finish", "endif", "", *_common(), ""]
    for block in blocks():
        lines += [*_block(block), ""]
    lines += [f"hi def link {group} {target}" for group, target in _LINKS.items()]
    return "\n".join([*lines, "", "syn sync fromstart", 'let b:current_syntax = "mig"']) + "\n"


def _common() -> Iterator[str]:
    yield "syn include @migSQL syntax/sql.vim"
    yield "unlet! b:current_syntax"
    yield r"syn match migOperator /\v-\>|\.\.|[<>!]\=|[<>=?-]/"
    yield r"syn match migNumber /\v<\d{4}-\d\d-\d\d>|<\d[0-9_]*%(\.\d+)?%(\%|\a+>)?/"
    yield r"""syn region migString start=/"/ skip=/\v\\.|""/ end=/"/ oneline"""
    yield r"syn region migSql matchgroup=migTick start=/`/ skip=/``/ end=/`/ contains=@migSQL,migParameter keepend"
    yield r"syn match migParameter /\v%(\w|:)@<!:\h\w*/ contained"
    yield r"syn match migComment /#.*$/ contains=@Spell"
    # Behind a line that begins with no word: `team_id -> Team.id { … }`.
    loose = r"/\v%(^\s*%(\(|\h\w*\s*-\>)[^{]*)@<=\{/"
    yield rf"syn region migLoose matchgroup=migBrace start={loose} end=/\}}/ contained contains={_COMMON},{_inside(LOOSE)}"
    words = sorted({word for block in blocks() for word in block.clauses})
    yield rf"syn match migHeadClause /\v<%({'|'.join(words)})>/ contained"
    yield rf"syn match migHeadType /\v<%({'|'.join(types())})>/ contained"


def _inside(block: str) -> str:
    return f"@mig_{_group(block)}"


def _group(block: str) -> str:
    return block.replace("-", "_")


def _block(block: Block) -> Iterator[str]:
    """The groups of a block, and the cluster that holds them. Of two that match at one place, Vim takes the later one."""
    own, contained = _group(block.name), "" if block.name == TOP else " contained"
    groups = []
    for kind, words in (("Value", block.values), ("Clause", block.clauses), ("Type", types() if block.typed else ())):
        if words:
            groups.append(f"mig{kind}_{own}")
            yield rf"syn match mig{kind}_{own} /\v<%({'|'.join(words)})>/{contained}"
            yield f"hi def link mig{kind}_{own} mig{kind}"
    if block.columns:
        groups.append(f"migColumn_{own}")
        yield rf"""syn match migColumn_{own} /\v{_BEGIN}{_NAME}%(\s+[A-Za-z_"])@=/{contained}"""
        yield f"hi def link migColumn_{own} migName"
    if block.starts:
        words = tuple(start.word for start in block.starts)
        groups += [f"migWord_{own}", f"migNamed_{own}"]
        yield rf"syn match migWord_{own} /\v{_BEGIN}<%({'|'.join(words)})>/{contained}"
        yield f"hi def link migWord_{own} migWord"
        yield _named(block, own)
        yield f"hi def link migNamed_{own} migName"
    for start in block.starts:
        if start.opens:
            groups.append(f"migBlock_{_group(start.opens)}")
            yield _region(start, own, contained)
    yield f"syn cluster mig_{own} contains={','.join(groups)}"


def _named(block: Block, own: str) -> str:
    """The names right behind the first words of lines."""
    words = "|".join(start.word for start in block.starts if start.named) or "a^"
    but = "|".join(sorted({word for start in block.starts for word in start.but}))
    unless = rf"%(<%({but})>)@!" if but else ""
    return rf"syn match migNamed_{own} /\v%(%(^|[{{;])\s*<%({words})>\s+)@<={unless}{_NAME}/ contained"


def _region(start: Start, own: str, contained: str) -> str:
    """From a construct's first word to the end of its block."""
    inside = f"{_COMMON},migHeadClause,migHeadType,migNamed_{own},{_inside(start.opens)}"
    pattern = rf"/\v{_BEGIN}<{start.word}>{_HEAD}/"
    return rf"syn region migBlock_{_group(start.opens)} matchgroup=migWord start={pattern} end=/\}}/{contained} contains={inside}"
