"""What the compiler has to say of a source: data here, prose in the catalog, looks in the renderers."""

from migdsl.diagnostics.model import Applicability, Diagnostic, Edit, Fix, Label, Severity

__all__ = ["Applicability", "Diagnostic", "Edit", "Fix", "Label", "Severity"]
