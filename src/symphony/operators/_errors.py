"""What can go wrong in an operator, beside files (`files.*`) and expressions (`expressions.*`)."""

from __future__ import annotations

from symphony.commons.errors import Category, SymphonyError


class OperatorError(SymphonyError):
    """An operator cannot be declared, or cannot do its work with what it was given."""

    category = Category.VALIDATION


class OperatorInvalid(OperatorError):
    """A function cannot become an operator; raised where it is decorated."""

    code = "operators.invalid"

    def __init__(self, name: str, reason: str, *, hint: str = "") -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"The function of operator {name!r} cannot be used: {reason}.", hint=hint)


class BadInput(OperatorError):
    """A port got a value that does not fit, or none where one is needed."""

    code = "operators.bad_input"

    def __init__(self, operator: str, port: str, reason: str, *, hint: str = "") -> None:
        self.operator = operator
        self.port = port
        self.reason = reason
        super().__init__(f"Input {port!r} of {operator}: {reason}.", hint=hint)


class ItemFailed(OperatorError):
    """The work failed on one item of a list; `index` counts from 0."""

    code = "operators.item_failed"

    def __init__(self, operator: str, index: int, reason: str, *, hint: str = "") -> None:
        self.operator = operator
        self.index = index
        self.reason = reason
        super().__init__(f"{operator} failed on item {index}: {reason}", hint=hint)


class TemplateFailed(OperatorError):
    """A template is not valid, names a value that it was not given, or makes too much text."""

    code = "operators.template_failed"

    def __init__(self, reason: str, line: int | None, *, hint: str = "") -> None:
        self.reason = reason
        self.line = line
        where = f" on line {line}" if line else ""
        super().__init__(f"The template failed{where}: {reason}.", hint=hint)


class BadJson(OperatorError):
    """A file is not JSON; `line` and `column` count from 1."""

    code = "operators.bad_json"
    category = Category.SERIALIZATION

    def __init__(self, path: str, line: int, column: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason
        super().__init__(f"{path}, line {line}, column {column}: not valid JSON: {reason}.")


class RequestFailed(OperatorError):
    """A server was not reached, or answered with an error; `status` is None without an answer."""

    code = "operators.request_failed"
    category = Category.UNAVAILABLE

    def __init__(self, url: str, status: int | None, reason: str, attempts: int) -> None:
        self.url = url
        self.status = status
        self.reason = reason
        self.attempts = attempts
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(f"The request to {url} failed after {tries}: {reason}.")


class ResponseTooLarge(OperatorError):
    """A server sent more than was allowed; nothing of it was kept."""

    code = "operators.response_too_large"
    category = Category.LIMIT

    def __init__(self, url: str, limit: int) -> None:
        self.url = url
        self.limit = limit
        super().__init__(
            f"The answer of {url} is larger than {limit:,} bytes.",
            hint="Raise the parameter `limit`.",
        )
