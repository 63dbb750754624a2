"""Projects of accounts, their tasks and the steps of these move, each with its tenant by way of another; notes stay."""

from __future__ import annotations

from tests.ops.moves import Moving
from tests.ops.support import T1, T2, mig

ENTITIES = """
entity Account in app.accounts {
  id bigint key
  tenant_id uuid tenant
}
entity Project in app.projects {
  id serial key
  account_id bigint -> Account.id on delete cascade
  name text
  unique (account_id, name)
  tenant via account_id -> Account
}
entity Task in app.tasks {
  no bigserial key
  project_id integer -> Project.id on delete cascade
  title text
  minutes integer
  index (project_id, no)
  tenant via project_id -> Project
}
entity Step in app.steps {
  task_no bigint -> Task.no on delete cascade
  place smallint
  name text pii
  key (task_no, place)
  tenant via task_no -> Task
}
entity Note in app.notes {
  id bigint key
  task_no bigint -> Task.no on delete cascade
  body text
  index (task_no)
  tenant via task_no -> Task
}"""
MOVES = """
move Step to app."select" { job = task_no; place = place; title text = `upper(name)`; back name = `lower(title)` }
move Task to app.work.jobs {
  number = no
  plan_id = project_id
  title = title
  hours numeric = `minutes / 60.0`
  back minutes = `(hours * 60)::integer`
  unique (plan_id, number)
}
move Project to app.work.plans { ident = id; account_id = account_id; name = name }"""
TEXT = mig(ENTITIES, MOVES)
DDL = """
CREATE TABLE accounts (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE projects (id serial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  name text NOT NULL, UNIQUE (account_id, name));
CREATE TABLE tasks (no bigserial PRIMARY KEY, project_id integer NOT NULL REFERENCES projects ON DELETE CASCADE,
  title text NOT NULL, minutes integer NOT NULL);
CREATE INDEX ON tasks (project_id, no);
CREATE TABLE steps (task_no bigint NOT NULL REFERENCES tasks ON DELETE CASCADE, place smallint NOT NULL, name text NOT NULL,
  PRIMARY KEY (task_no, place));
CREATE TABLE notes (id bigint PRIMARY KEY, task_no bigint NOT NULL REFERENCES tasks ON DELETE CASCADE, body text NOT NULL);
CREATE INDEX ON notes (task_no)"""
SEED = f"""{DDL};
INSERT INTO accounts SELECT n, CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END FROM generate_series(1, 6) AS n;
INSERT INTO projects (account_id, name) SELECT 1 + n % 6, 'p' || n FROM generate_series(1, 30) AS n;
INSERT INTO tasks (project_id, title, minutes) SELECT 1 + n % 30, 't' || n, n FROM generate_series(1, 300) AS n;
INSERT INTO steps SELECT 1 + n % 300, 1 + n / 300, 's' || n FROM generate_series(0, 449) AS n;
INSERT INTO notes SELECT n, n, 'n' || n FROM generate_series(1, 300) AS n"""
# Independent of what is generated: rows that are on one side only, or whose sides don't give each other.
WRONG = """
SELECT 'project', coalesce(o.id, n.ident), o.name, n.name FROM projects AS o FULL JOIN work.plans AS n ON n.ident = o.id
 WHERE (o.account_id, o.name) IS DISTINCT FROM (n.account_id, n.name)
 UNION ALL
SELECT 'task', coalesce(o.no, n.number), o.title, n.title FROM tasks AS o FULL JOIN work.jobs AS n ON n.number = o.no
 WHERE (o.project_id, o.title, o.minutes) IS DISTINCT FROM (n.plan_id, n.title, (n.hours * 60)::integer)
 UNION ALL
SELECT 'step', coalesce(o.task_no, n.job), o.name, n.title
  FROM steps AS o FULL JOIN "select" AS n ON (n.job, n.place) = (o.task_no, o.place)
 WHERE upper(o.name) IS DISTINCT FROM n.title"""


def writes(key: int, number: int, round_: int, fresh: int, is_old: bool) -> list[str]:
    """What a client does in one transaction: rows of its own, rows that all write, others' owners, whole families."""
    account, project, shared, gone = 1 + round_ % 6, 1 + round_ % 30, 1 + round_ % 5, fresh - 32
    if is_old:
        return [
            [f"UPDATE tasks SET minutes = {round_} WHERE no = {key}"],
            [f"UPDATE tasks SET title = 'old {round_}' WHERE no = {shared}"],
            [
                f"INSERT INTO projects VALUES ({fresh}, {account}, 'p{fresh}')",
                f"INSERT INTO tasks VALUES ({fresh}, {fresh}, 'fresh', {round_})",
                f"INSERT INTO steps VALUES ({fresh}, 1, 'fresh')",
                f"DELETE FROM projects WHERE id = {gone}",
            ],
            [f"UPDATE tasks SET project_id = {project} WHERE no = {key}", f"DELETE FROM steps WHERE task_no = {key}"],
        ][round_ % 4]
    return [
        [f"UPDATE work.jobs SET hours = {round_} / 60.0 WHERE number = {key}"],
        [f"UPDATE work.jobs SET title = 'new {round_}' WHERE number = {shared}"],
        [
            f"INSERT INTO work.plans VALUES ({fresh}, {account}, 'p{fresh}')",
            f"INSERT INTO work.jobs VALUES ({fresh}, {fresh}, 'fresh', {round_} / 60.0)",
            f"INSERT INTO \"select\" VALUES ({fresh}, 1, 'FRESH')",
            f"DELETE FROM work.plans WHERE ident = {gone}",
        ],
        [
            f"UPDATE work.jobs SET plan_id = {project} WHERE number = {key}",
            f"UPDATE \"select\" SET title = 'N' WHERE job = {key}",
        ],
    ][round_ % 4]


OWNED = Moving(TEXT, SEED, WRONG, "SELECT coalesce(max(number), 0) + 1000 FROM work.jobs", writes)
