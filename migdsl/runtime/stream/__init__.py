"""A table that moves to another database: appliers of keys, the switch of a tenant's writes, what waits and what failed."""
