"""The DataMigrationPlan: the contract between the compiler, the executor and whoever reads a plan."""

from migdsl.plan.model import DataMigrationPlan

__all__ = ["DataMigrationPlan"]
