"""Values as artifacts: for what is too large to travel, and for what is to be kept."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from symphony.commons import blocking
from symphony.commons.values import ArtifactRef
from symphony.operators._declare import OperatorContext, operator


@operator("artifact.from_value", title="Keep a value as an artifact")
async def from_value(
    context: OperatorContext,
    value: Annotated[Any, Meta(description="What to keep, as JSON.")],
    name: Annotated[str, Meta(description="The file's name.")] = "value.json",
) -> ArtifactRef:
    """A JSON file. What an extension takes in a message is limited, an artifact is not."""
    content = await blocking.run(msgspec.json.encode, value)
    return await context.write_artifact(content, "application/json", name)
