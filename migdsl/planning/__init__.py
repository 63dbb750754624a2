"""From lowered steps to the DataMigrationPlan: paths, release, phases, risks, tasks."""
