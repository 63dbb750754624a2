" Made by tools/refresh_editors.py from grammar/: change those, not this file.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal commentstring=#\ %s comments=:# expandtab shiftwidth=2 softtabstop=2 formatoptions-=t
setlocal iskeyword=@,48-57,_ suffixesadd=.mig include=^\s*use\s
if executable("migdsl")
  setlocal formatprg=migdsl\ fmt\ -
  setlocal makeprg=migdsl\ check\ --format\ github\ %:S
  " The lines that GitHub takes: ::error file=a.mig,line=1,endLine=1,col=2,endColumn=3,title=...::...
  let &l:errorformat = '::%trror file=%f\,line=%l\,endLine=%*\d\,col=%c\,endColumn=%*\d\,title=%m'
        \ . ',::%tarning file=%f\,line=%l\,endLine=%*\d\,col=%c\,endColumn=%*\d\,title=%m'
        \ . ',::%trror file=%f\,line=%l\,endLine=%*\d\,title=%m,::%tarning file=%f\,line=%l\,endLine=%*\d\,title=%m'
endif
let b:undo_ftplugin = "setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< formatoptions< iskeyword<"
      \ . " suffixesadd< include< formatprg< makeprg< errorformat<"
