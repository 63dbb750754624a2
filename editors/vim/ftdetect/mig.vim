" Made by tools/refresh_editors.py from grammar/: change those, not this file.
autocmd BufRead,BufNewFile *.mig setfiletype mig
