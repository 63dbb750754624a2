"""A reconciliation job becomes counts and digests, ranges that differ, rows that differ, and a report."""
