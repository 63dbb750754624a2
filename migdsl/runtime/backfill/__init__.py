"""A backfill job becomes slices in the ledger, worked off lane by lane, batch by batch."""
