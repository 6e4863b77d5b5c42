"""`@operator`: a Python function becomes an operator, its signature the ports.

    class Counted(msgspec.Struct):
        words: int
        longest: str

    @operator("text.count", title="Count words")
    def count(text: str, at_least: Annotated[int, Meta(ge=1)] = 1) -> Counted:
        "Count the words of a text."

Each parameter is an input port; one with a default is optional. A trailing underscore, as in
`with_`, keeps a Python keyword usable as a port's name. A result that is a struct or dataclass has
a port a field, any other a single port `value`, and a function that returns None has none.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast, get_type_hints

import msgspec

from symphony.commons import blocking
from symphony.commons.annotations import fields_of, schema_of, summary_of
from symphony.commons.values import Value
from symphony.execution import BodyContext
from symphony.operators._errors import BadInput, OperatorInvalid
from symphony.workflow import DEFAULT_PORT, Port, Signature, builder_among

#: What a parameter is annotated with to be given the context of the run instead of a port's value.
OperatorContext: TypeAlias = BodyContext

Function: TypeAlias = "Callable[..., Any]"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}(\.[a-z][a-z0-9_-]{0,63})*")
_PORT_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Parameter:
    argument: str
    type: Any  # what msgspec takes: a class, an Annotated, a union
    port: Port


class Operator:
    """A trusted function that runs in this process; it is the body of the nodes that use it.

    Called, it is the function itself; but where a workflow is defined, or given handles of one, it
    becomes a node there and returns its handle.
    """

    def __init__(self, name: str, title: str, function: Function) -> None:
        """Raises OperatorInvalid if ports cannot be made from the function's signature."""
        self.name = name
        self.title = title or name
        self.function = function
        hints = _hints(name, function)
        self._context_argument, self._parameters = _parameters(name, function, hints)
        result = hints.get("return", Any)
        self._fields = fields_of(result)
        inputs = tuple(parameter.port for parameter in self._parameters)
        self.signature = Signature(
            inputs, _outputs(name, result, self._fields), summary_of(function)
        )

    # Whoever defines a workflow writes what the function takes and returns, and hands on handles.
    def __call__(self, *args: Any, **inputs: Any) -> Any:
        builder = builder_among((*args, *inputs.values()))
        if builder is None:
            return self.function(*args, **inputs)
        return builder.call(self, *args, **inputs)

    async def run(self, inputs: Mapping[str, Value], context: BodyContext) -> Mapping[str, Value]:
        """The body. A plain function runs in a thread; one that is cancelled or timed out while it
        runs is left to end by itself, and its result is dropped."""
        arguments = self._arguments(inputs)
        if self._context_argument:
            arguments[self._context_argument] = context
        if inspect.iscoroutinefunction(self.function):
            result = await cast("Awaitable[object]", self.function(**arguments))
        else:
            result = await blocking.run_abandonable(self.function, **arguments)
        if self._fields is not None:
            values = {field: getattr(result, field) for field in self._fields}
        else:
            values = {port.name: result for port in self.signature.outputs}
        plain: dict[str, Value] = msgspec.to_builtins(values)
        return plain

    def _arguments(self, inputs: Mapping[str, Value]) -> dict[str, object]:
        """What a port is not given, the function's own default supplies."""
        arguments: dict[str, object] = {}
        for parameter in self._parameters:
            port = parameter.port
            if port.name in inputs:
                arguments[parameter.argument] = self._converted(inputs[port.name], parameter)
            elif port.required:
                raise BadInput(self.name, port.name, "it is required and was not given")
        return arguments

    def _converted(self, value: Value, parameter: _Parameter) -> object:
        try:
            return cast("object", msgspec.convert(value, parameter.type))
        except msgspec.ValidationError as error:
            raise BadInput(self.name, parameter.port.name, _decapitalized(str(error))) from error


def operator(name: str, *, title: str = "") -> Callable[[Function], Operator]:
    """Make a plain or `async` function an operator that workflows use by `name`.

    Raises OperatorInvalid.
    """
    given: object = name  # a bare @operator hands us the function
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        hint = 'Write @operator("area.verb") above the function: lower-case words and a dot.'
        raise OperatorInvalid(str(given), "it needs a name that workflows can use", hint=hint)
    return lambda function: Operator(name, title, function)


def _hints(name: str, function: Function) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise OperatorInvalid(name, f"its annotations cannot be read: {error}") from error


def _parameters(
    name: str, function: Function, hints: Mapping[str, Any]
) -> tuple[str | None, tuple[_Parameter, ...]]:
    """The argument that takes the context, if there is one, and all others."""
    context_argument = None
    parameters: list[_Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise OperatorInvalid(name, f"parameter {parameter.name!r} cannot be given by name")
        if parameter.name not in hints:
            hint = f"Write `{parameter.name}: str`, for example."
            raise OperatorInvalid(name, f"parameter {parameter.name!r} has no type", hint=hint)
        annotation = hints[parameter.name]
        if annotation is BodyContext:
            context_argument = parameter.name
        else:
            port = _input_port(name, parameter, annotation)
            parameters.append(_Parameter(parameter.name, annotation, port))
    return context_argument, tuple(parameters)


def _input_port(name: str, parameter: inspect.Parameter, annotation: object) -> Port:
    port = parameter.name.rstrip("_")
    if parameter.default is parameter.empty:
        return _port(name, port, annotation)
    default = msgspec.json.decode(msgspec.json.encode(parameter.default))
    return _port(name, port, annotation, required=False, default=default)


def _outputs(name: str, result: object, fields: Mapping[str, Any] | None) -> tuple[Port, ...]:
    if fields is not None:
        return tuple(_port(name, field, annotation) for field, annotation in fields.items())
    return () if result is type(None) else (_port(name, DEFAULT_PORT, result),)


def _port(
    operator_name: str,
    name: str,
    annotation: object,
    *,
    required: bool = True,
    default: Value = None,
) -> Port:
    if not _PORT_NAME.fullmatch(name):
        raise OperatorInvalid(operator_name, f"{name!r} is not a name for a port")
    try:
        schema = schema_of(annotation)
    except (TypeError, NameError) as error:
        raise OperatorInvalid(operator_name, f"the type of {name!r}: {error}") from error
    description = str(schema.pop("description", ""))
    return Port(name, schema, required, default, description)


def _decapitalized(message: str) -> str:
    return message[:1].lower() + message[1:]
