"""Random writes of old and new code, in any order and on any rows, against a model of what must be visible to both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from migdsl.rehearsal.server import Server
from tests.ops.support import CONTACT, T1, USERS, USERS_DDL, Migration, all_rows, ledger, lowered, mig, one

ROWS = st.integers(1, 4)
ADDRESSES = st.sampled_from(["a@x", "b@x", "it's@x", "%s@x", "ü@x"])
MAYBE = st.one_of(st.none(), ADDRESSES)


@dataclass
class Row:
    """What a row must look like: the address that was written last, by whichever side; None where none was."""

    username: str
    address: str | None

    @property
    def contact(self) -> str:
        """What new code reads: `from` over the row."""
        return self.address if self.address is not None else f"{self.username}@example.com"


@dataclass
class Model:
    """All rows, and which of them are from before and were touched by nobody since."""

    rows: dict[int, Row] = field(default_factory=dict)
    unfilled: set[int] = field(default_factory=set)


class Writers(RuleBasedStateMachine):
    """Old code knows `email`, new code knows `contact_email`; both know `username`."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.connection = psycopg.connect(self.url, autocommit=True, options="-c client_min_messages=error")
        self.users = Migration(self.connection, lowered(mig(USERS, CONTACT)))
        self.model = Model()
        self.renames = 0

    def teardown(self) -> None:
        self.connection.close()

    @initialize(before=st.dictionaries(ROWS, MAYBE, max_size=3))
    def rows_from_before(self, before: dict[int, str | None]) -> None:
        self.connection.execute(b"DROP TABLE IF EXISTS users CASCADE; DROP SCHEMA IF EXISTS migdsl CASCADE")
        self.connection.execute(USERS_DDL.encode())
        for key, email in before.items():
            self.write(
                "INSERT INTO users (id, tenant_id, username, email) VALUES (%s, %s, %s, %s)", key, T1, f"u{key}", email
            )
            self.model.rows[key] = Row(f"u{key}", email)
        self.model.unfilled = set(before)
        ledger(self.connection)
        self.users.up("expand")

    def write(self, statement: str, *values: object) -> None:
        self.connection.execute(statement.encode(), values)

    def touched(self, key: int) -> None:
        self.model.unfilled.discard(key)

    @rule(key=ROWS, email=MAYBE)
    def old_upsert(self, key: int, email: str | None) -> None:
        self.write(
            "INSERT INTO users (id, tenant_id, username, email) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email",
            *(key, T1, f"u{key}", email),
        )
        self.model.rows.setdefault(key, Row(f"u{key}", email)).address = email
        self.touched(key)

    @rule(key=ROWS, contact=ADDRESSES)
    def new_upsert(self, key: int, contact: str) -> None:
        self.write(
            "INSERT INTO users (id, tenant_id, username, contact_email) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET contact_email = EXCLUDED.contact_email",
            *(key, T1, f"u{key}", contact),
        )
        self.model.rows.setdefault(key, Row(f"u{key}", contact)).address = contact
        self.touched(key)

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data(), email=MAYBE)
    def old_update(self, data: st.DataObject, email: str | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.rows)))
        self.write("UPDATE users SET email = %s WHERE id = %s", email, key)
        self.model.rows[key].address = email
        self.touched(key)

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data(), contact=ADDRESSES, rename=st.booleans())
    def new_update(self, data: st.DataObject, contact: str, rename: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.rows)))
        row = self.model.rows[key]
        if rename:
            self.renames += 1
            row.username = f"r{self.renames}"
        before = self.users.old_writes()
        self.write("UPDATE users SET contact_email = %s, username = %s WHERE id = %s", contact, row.username, key)
        row.address = contact
        assert self.users.old_writes() == before
        self.touched(key)

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.rows)))
        self.renames += 1
        before = self.users.old_writes()
        self.write("UPDATE users SET username = %s WHERE id = %s", f"r{self.renames}", key)
        self.model.rows[key].username = f"r{self.renames}"
        assert self.users.old_writes() == before
        self.touched(key)

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.rows)))
        self.write("DELETE FROM users WHERE id = %s", key)
        del self.model.rows[key]
        self.touched(key)

    @rule()
    def backfill(self) -> None:
        before = self.users.old_writes()
        assert self.users.backfill() == len(self.model.unfilled)
        assert self.users.old_writes() == before
        self.model.unfilled.clear()

    @invariant()
    def both_sides_see_the_last_write(self) -> None:
        found = {
            key: (name, email, contact)
            for key, name, email, contact in all_rows(
                self.connection, "SELECT id, username, email, contact_email FROM users"
            )
        }
        wanted = {
            key: (row.username, row.address, None if key in self.model.unfilled else row.contact)
            for key, row in self.model.rows.items()
        }
        assert found == wanted

    @invariant()
    def nothing_drifts(self) -> None:
        if not self.model.unfilled:
            assert (self.users.differences("old"), self.users.differences("new")) == (0, 0)


@pytest.fixture
def scratch(pg: Server) -> Iterator[str]:
    """A database of its own: the machine makes and drops its tables again and again."""
    name = f"migdsl_test_{uuid.uuid4().hex}"
    try:
        yield pg.create_database(name)
    finally:
        pg.drop_database(name)


def test_the_last_write_is_seen_by_both_sides(scratch: str):
    machine = type("Machine", (Writers,), {"url": scratch})
    with psycopg.connect(scratch, autocommit=True) as connection:
        connection.execute(USERS_DDL.encode())
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    with psycopg.connect(scratch, autocommit=True) as connection:
        assert one(connection, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~migdsl%'") == (1,)
