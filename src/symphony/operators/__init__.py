"""Trusted operators that run in this process: the built-in ones, and `@operator` for your own."""

from __future__ import annotations

from symphony.operators._builtin import BUILTIN
from symphony.operators._declare import Operator, OperatorContext, operator
from symphony.operators._errors import (
    BadInput,
    BadJson,
    ItemFailed,
    OperatorError,
    OperatorInvalid,
    RequestFailed,
    ResponseTooLarge,
    TemplateFailed,
)

__all__ = (
    "BUILTIN",
    "BadInput",
    "BadJson",
    "ItemFailed",
    "Operator",
    "OperatorContext",
    "OperatorError",
    "OperatorInvalid",
    "RequestFailed",
    "ResponseTooLarge",
    "TemplateFailed",
    "operator",
)
