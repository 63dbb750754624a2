"""From checked module to steps: one lowering a construct, ordered into phases."""
