"""one-off: API beside a table, on a real database"""
from __future__ import annotations
import json, shlex, re
import pytest, psycopg
from tests.executor.conftest import *  # noqa
from tests.executor.test_examples import TENANTS, step, look, variable
from tests.ops.declared import ddl

def test_both(tmp_path, database, monkeypatch, pg, cache, run):
    users=(ROOT/"examples/users.mig").read_text(); orders=(ROOT/"examples/11_api_retirement/orders_v2.mig").read_text()
    text=users+"\n"+re.search(r"^api .*?^}",orders,re.M|re.S)[0]+"\n"
    (tmp_path/"users.mig").write_text(text)
    monkeypatch.chdir(tmp_path); monkeypatch.setenv("XDG_CACHE_HOME",str(cache)); monkeypatch.setenv("NO_COLOR","1"); monkeypatch.setenv("DATABASE_URL",database)
    with psycopg.connect(database, autocommit=True) as c: c.execute((TENANTS+ddl(text)).encode())
    home=Home(tmp_path,database,pg)
    assert run("compile","users.mig").code==0
    for n in range(60):
        report=look(run)
        print(n, report["phase"], report["next"]["command"], report["next"]["waits_for"][:3])
        if report["next"]["phase"] is None: break
        step(home,run,report)
    assert report["phase"]=="contract", report
