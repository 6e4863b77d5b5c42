from __future__ import annotations

import msgspec
from findings import Findings, summary
from layout import blocks

from symphony.sdk import Context, Operator


class InsightReport(Operator):
    def run(self, context: Context, **given: object) -> dict[str, object]:
        found = msgspec.convert(given, Findings)
        return {
            "title": f"Repository insight: {found.title}",
            "blocks": blocks(found),
            "summary": summary(found),
        }
