"""Alembic's env.py where the project's own isn't named: one connection, and Alembic opens the transaction."""

from __future__ import annotations

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool

conninfo: str = context.config.attributes["migdsl"]
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
