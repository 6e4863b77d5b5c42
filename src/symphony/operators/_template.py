"""Text from a template, in the language of Jinja."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from symphony.commons.values import Value
from symphony.operators._declare import operator
from symphony.operators._errors import TemplateFailed

MAX_TEMPLATE = 256 * 1024


@operator("text.template", title="Fill in a template")
def fill_template(
    template: Annotated[
        str,
        Meta(
            description="Text with {{ expressions }} and {% statements %}, as in Jinja.",
            examples=["{{ value | length }} files in {{ folder }}"],
            extra_json_schema={
                "format": "jinja",
                "variables": ["value"],
                "variablesFrom": "with",
            },
        ),
    ],
    value: Annotated[Any, Meta(description="What the template calls `value`.")] = None,
    with_: Annotated[dict[str, Value], Meta(description="More values, by their names.")] = {},  # noqa: B006
) -> str:
    """The template with the values filled in, unescaped. A name that is not there is an error."""
    from symphony.commons.jinja import TemplateFault, render

    if len(template) > MAX_TEMPLATE:
        raise TemplateFailed(f"it has more than {MAX_TEMPLATE:,} characters", None)
    try:
        return render(template, {"value": value, **with_})
    except TemplateFault as fault:
        raise TemplateFailed(fault.reason, fault.line, hint=fault.hint) from fault
