"""Facts of PostgreSQL: its grammar, names, types, locks."""
