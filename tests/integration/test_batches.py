"""What a batch of the backfill holds while it runs, and how long others wait for it."""

from __future__ import annotations

import pytest

from tests.integration.project import Project
from tests.integration.world import build

ADDRESS = "shared'ü@exämple.org"


def test_a_writer_of_the_same_address_does_not_wait_for_a_batch(project: Project) -> None:
    """A batch has filled one row with an address, and old code gives it to another row of the tenant.

    Had it to wait for the batch's end, a batch that comes to that row next would make a deadlock of it.
    """
    project.run("UPDATE users SET email = %s WHERE id = 1", ADDRESS)
    project.upgrade("users_email_expand")
    tenant = project.one("SELECT tenant_id FROM users WHERE id = 1")
    other = project.one("SELECT min(id) FROM users WHERE tenant_id = %s AND id > 1", tenant)
    with project.connect() as batch, batch.transaction(), project.connect(lock_timeout="1s") as old_code:
        batch.execute("UPDATE users SET contact_email = email WHERE id = 1")
        old_code.execute("UPDATE users SET email = %s WHERE id = %s", (ADDRESS, other))
    assert project.one("SELECT count(*) FROM users WHERE contact_email = %s", ADDRESS) == 2


@pytest.mark.parametrize("who", ["backfill", "old code"])
def test_many_rows_in_one_transaction(empty_project: Project, who: str) -> None:
    """Row by row something is kept until the end of a transaction only where there is room for it."""
    with empty_project.connect() as connection:
        tenants = build(connection, tenants=2, rows=25_000)
    empty_project.write(empty_project.source.read_text(encoding="utf-8"))
    empty_project.upgrade("users_email_expand")
    if who == "backfill":
        done = empty_project.backfill("--batch", "20000")
        assert done.code == 0, done
    else:
        copy = "COPY users (tenant_id, username, email) FROM STDIN"
        with empty_project.connect() as connection, connection.cursor() as cursor, cursor.copy(copy) as rows:
            for number in range(25_000):
                rows.write_row((tenants[0], f"copied {number}", None))
        assert (
            empty_project.one("SELECT count(*) FROM users WHERE username LIKE 'copied%' AND contact_email IS NULL") == 0
        )
