"""migdsl: from one short `.mig` file to a checked zero-downtime migration plan and every file that it names."""

__version__ = "0.1.0"
