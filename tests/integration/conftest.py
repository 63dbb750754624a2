"""An empty database becomes a project: a table with tenants, users.mig beside it, and Alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.rehearsal.server import Server
from tests.integration.project import Project
from tests.integration.world import build


@pytest.fixture
def empty_project(pg: Server, database: str, tmp_path: Path) -> Project:
    """A project on an empty database; nothing is compiled."""
    return Project(tmp_path / "project", database, pg)


@pytest.fixture
def project(empty_project: Project) -> Project:
    """A project with 7 tenants and 300 users, some with the same address; all revisions are there, and none has run."""
    with empty_project.connect() as connection:
        build(connection, tenants=7, rows=300)
    empty_project.write(empty_project.source.read_text(encoding="utf-8"))
    return empty_project


@pytest.fixture
def clean_project(project: Project) -> Project:
    """The same, and no address stands twice."""
    project.run("UPDATE users SET email = id || email WHERE email LIKE 'shared%'")
    return project
