"""Values as artifacts: for what is too large to travel, and for what is to be kept."""

from __future__ import annotations

from mimetypes import guess_type
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from symphony.commons import blocking
from symphony.commons.values import ArtifactRef
from symphony.operators._declare import OperatorContext, operator
from symphony.operators._paths import FilePath, as_path


@operator("artifact.from_value", title="Keep a value as an artifact")
async def from_value(
    context: OperatorContext,
    value: Annotated[Any, Meta(description="What to keep, as JSON.")],
    name: Annotated[str, Meta(description="The file's name.")] = "value.json",
) -> ArtifactRef:
    """A JSON file. What an extension takes in a message is limited, an artifact is not."""
    content = await blocking.run(msgspec.json.encode, value)
    return await context.write_artifact(content, "application/json", name)


@operator("artifact.from_file", title="Keep a file as an artifact")
async def from_file(
    context: OperatorContext,
    path: FilePath,
    media_type: Annotated[str, Meta(description="Empty: what the name's ending says.")] = "",
) -> ArtifactRef:
    """A copy of the file, of any size, under the file's name."""
    file = as_path("artifact.from_file", "path", path)
    kind = media_type or guess_type(file.name)[0] or "application/octet-stream"
    return await context.write_artifact(file, kind, file.name)
