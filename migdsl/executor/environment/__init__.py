"""The folder that Alembic is given where the project's own environment isn't."""
