"""Tenants that are listed in another database than the rows: read there, held against here, and noted in the ledger."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migdsl.runtime import main
from tests.runtime.samples.backfill_user import JOB as BACKFILL
from tests.runtime.samples.reconcile_user import JOB as RECONCILE

FAR = replace(BACKFILL, tenants_env="LIST_URL")


def test_rows_are_held_against_what_is_given():
    assert RECONCILE.unlisted is not None
    with pytest.raises(ValueError, match="unlisted must use :listed"):
        replace(RECONCILE, tenants_env="LIST_URL")
    with pytest.raises(ValueError, match="unlisted must use no parameters"):
        replace(RECONCILE, unlisted="SELECT jsonb_array_length(:listed::jsonb)")
    replace(RECONCILE, unlisted="SELECT jsonb_array_length(:listed::jsonb)", tenants_env="LIST_URL")


def test_the_list_has_a_database_of_its_own(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(FAR.database_env, database)
    monkeypatch.delenv("LIST_URL", raising=False)
    assert main(FAR, ["--dry-run"]) == 2
    assert "no database for the list of tenants: set LIST_URL, or give --tenants-url" in capsys.readouterr().err
    monkeypatch.setenv("LIST_URL", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    assert main(FAR, ["--dry-run"]) == 3
    said = capsys.readouterr().err
    assert "the list of tenants, in the database of LIST_URL: can't connect" in said
    assert "secret" not in said
    # The table is there, and the list isn't: with the job's own database it is the list that is missed.
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE users (id bigint PRIMARY KEY, tenant_id uuid, email text, contact_email text)")
    assert main(FAR, ["--dry-run", "--tenants-url", database]) == 3
    assert "tenants" in capsys.readouterr().err


def test_who_has_one_database_is_shown_no_other(capsys: pytest.CaptureFixture[str]):
    assert main(BACKFILL, ["--help"]) == 0
    assert "tenants-url" not in capsys.readouterr().out
    assert main(FAR, ["--help"]) == 0
    assert "instead of the environment's LIST_URL" in " ".join(capsys.readouterr().out.split())
