"""Turns a backfill into lanes that an engine schedules, on as many machines as have workers."""
