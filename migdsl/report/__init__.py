"""Plans become pages that one opens, prints and keeps: one HTML file each, without a network."""
