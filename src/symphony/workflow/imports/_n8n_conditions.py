"""n8n's conditions as CEL over `value`, where that says the same; None where it would not.

Only values of the item itself are followed: what `$json.a.b` reads is `value["a"]["b"]`. Whatever
calls JavaScript, or reads another node, has no counterpart.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from symphony.commons.expressions import Expression, ExpressionError
from symphony.workflow.imports._foreign import list_of, object_of, text_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

_TEMPLATE: Final = re.compile(r"=\s*\{\{(?P<body>[^{}]*)\}\}\s*")
_PATH: Final = re.compile(
    r"""\$(?:json|input\.item\.json|input\.first\(\)\.json)"""
    r"""(?P<steps>(?:\.[A-Za-z_]\w*|\[\s*(?:\d+|"[^"\\]*"|'[^'\\]*')\s*\])*)"""
)
_STEP: Final = re.compile(
    r"""\.(?P<name>\w+)|\[\s*(?:(?P<number>\d+)|["'](?P<key>[^"'\\]*)["'])\s*\]"""
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")

#: What each operation compares with, by its names in both versions of the node.
_COMPARISONS: Final = {
    "equals": "==",
    "equal": "==",
    "notEquals": "!=",
    "notEqual": "!=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "larger": ">",
    "largerEqual": ">=",
    "smaller": "<",
    "smallerEqual": "<=",
}
_CALLS: Final = {"contains": "contains", "startsWith": "startsWith", "endsWith": "endsWith"}
_NEGATED: Final = {
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}


def cel_of(value: Value, *, as_number: bool = False) -> str | None:
    """A parameter as CEL: a path into the item, or a constant."""
    if isinstance(value, str):
        if not value.startswith("="):
            return value if as_number and _NUMBER.fullmatch(value) else _quoted(value)
        template = _TEMPLATE.fullmatch(value)
        if template is None:
            constant = value[1:]
            return None if "{{" in constant else _quoted(constant)
        return _path(template["body"].strip())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return "null" if value is None else None


def checked(text: str | None) -> str | None:
    """The expression if it is CEL indeed."""
    if text is None:
        return None
    try:
        Expression.compile(text, {"value"})
    except ExpressionError:
        return None
    return text


def condition(parameters: dict[str, Value]) -> str | None:
    """What an If, a Filter or a rule of a Switch asks."""
    conditions = object_of(parameters.get("conditions"))
    if isinstance(conditions.get("conditions"), list):
        return checked(_second(conditions))
    return checked(_first(conditions, text_of(parameters.get("combineOperation"))))


def rule(left: Value, operation: str, right: Value, type_: str) -> str | None:
    """One comparison of an older Switch."""
    return checked(_compared(left, operation or "equal", right, type_, caseless=False))


def _second(conditions: dict[str, Value]) -> str | None:
    options = object_of(conditions.get("options"))
    caseless = options.get("caseSensitive") is False
    parts: list[str | None] = []
    for each in map(object_of, list_of(conditions.get("conditions"))):
        operator = object_of(each.get("operator"))
        parts.append(
            _compared(
                each.get("leftValue"),
                text_of(operator.get("operation")),
                each.get("rightValue"),
                text_of(operator.get("type")),
                caseless=caseless,
            )
        )
    return _joined(parts, any_=conditions.get("combinator") == "or")


def _first(conditions: dict[str, Value], combine: str) -> str | None:
    parts: list[str | None] = []
    for type_, listed in conditions.items():
        for each in map(object_of, list_of(listed)):
            usual = "smaller" if type_ == "number" else "equal"
            operation = text_of(each.get("operation")) or usual
            right = each.get("value2", False if type_ == "boolean" else "")
            parts.append(_compared(each.get("value1"), operation, right, type_, caseless=False))
    return _joined(parts, any_=combine == "any")


def _joined(parts: list[str | None], *, any_: bool) -> str | None:
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    return (" || " if any_ else " && ").join(f"({part})" for part in known)


def _compared(
    left: Value, operation: str, right: Value, type_: str, *, caseless: bool
) -> str | None:
    subject = cel_of(left, as_number=type_ == "number")
    if subject is None or type_ == "dateTime":
        return None
    if (alone := _asked(subject, operation, type_)) is not None:
        return alone
    other = cel_of(right, as_number=type_ == "number")
    if other is None:
        return None
    if caseless and type_ == "string":
        subject, other = f"{subject}.lowerAscii()", f"{other}.lowerAscii()"
    if (sign := _COMPARISONS.get(operation)) is not None:
        return f"{subject} {sign} {other}"
    if type_ == "array":
        within = f"{other} in {subject}"
        return {"contains": within, "notContains": f"!({within})"}.get(operation)
    if operation in _CALLS:
        return f"{subject}.{_CALLS[operation]}({other})"
    if operation in _NEGATED:
        return f"!{subject}.{_NEGATED[operation]}({other})"
    return None


def _asked(subject: str, operation: str, type_: str) -> str | None:
    """Questions without a second value."""
    match operation:
        case "true":
            return f"{subject} == true"
        case "false":
            return f"{subject} == false"
        case "exists" | "notExists":
            present = _present(subject)
            return (
                None if present is None else present if operation == "exists" else f"!({present})"
            )
        case "empty" | "notEmpty" | "isEmpty" | "isNotEmpty" if type_ in (
            "string",
            "array",
            "object",
        ):
            sign = "==" if operation in ("empty", "isEmpty") else "!="
            return f"size({subject}) {sign} 0"
    return None


def _present(subject: str) -> str | None:
    """Whether the last step of a path is there."""
    found = re.fullmatch(r"(.*)\[(\"(?:[^\"\\]|\\.)*\")\]", subject)
    return None if found is None else f"{found[2]} in {found[1]} && {subject} != null"


def _path(body: str) -> str | None:
    found = _PATH.fullmatch(body)
    if found is None:
        return body if _NUMBER.fullmatch(body) or body in ("true", "false", "null") else None
    steps = (
        step["number"] or _quoted(step["name"] or step["key"] or "")
        for step in _STEP.finditer(found["steps"])
    )
    return "value" + "".join(f"[{step}]" for step in steps)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
