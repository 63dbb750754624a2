"""0 where invoices come out as they did with the old interpreter: totals, tax to the cent, and the file that is exported."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
# What the old interpreter made of these lines, as it was recorded.
BEFORE = (
    ((("19.99", 3), ("0.10", 7)), '{"net": "60.67", "tax": "11.53", "total": "72.20"}'),
    ((("1.005", 1),), '{"net": "1.01", "tax": "0.19", "total": "1.20"}'),
    ((), '{"net": "0.00", "tax": "0.00", "total": "0.00"}'),
)


def invoice(lines: tuple[tuple[str, int], ...]) -> str:
    """Lines of price and count become the invoice that is exported."""
    net = sum((Decimal(price) * count for price, count in lines), Decimal(0)).quantize(CENT, ROUND_HALF_UP)
    tax = (net * Decimal("0.19")).quantize(CENT, ROUND_HALF_UP)
    return json.dumps({"net": str(net), "tax": str(tax), "total": str(net + tax)})


differing = [(lines, expected, invoice(lines)) for lines, expected in BEFORE if invoice(lines) != expected]
for lines, expected, found in differing:
    print(f"{lines}: {expected} before, {found} now")
print(f"{len(BEFORE) - len(differing)} of {len(BEFORE)} invoices are what they were")
raise SystemExit(bool(differing))
