"""A plan and its artifacts become a rehearsal: a real PostgreSQL of our own, with traffic and faults, and a report."""
