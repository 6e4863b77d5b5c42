from __future__ import annotations

from symphony.commons.values import Value
from symphony.sdk import Artifact, Context, Operator


class CopyArtifact(Operator):
    def run(
        self, context: Context, *, artifact: dict[str, Value], times: int = 1
    ) -> dict[str, Artifact | int]:
        content = context.read(artifact)
        copy = context.write(content * times, "text/plain", "copy.txt")
        return {"artifact": copy, "size": len(content)}
