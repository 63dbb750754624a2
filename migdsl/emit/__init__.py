"""From plan to artifacts: one emitter a kind of file."""
