"""A plain Python function that is a workflow: called once with handles, it tells what to do.

    @workflow.define
    def word_count(folder: str = ".", most: int = 10) -> list[Counted]:
        files = walk(folder=folder)
        return count(files=files["files"], most=most)

    word_count.workflow

Its parameters are the inputs, their types become schemas and their defaults those of the inputs.
Operators that it calls become nodes, and so do other such functions. What it returns is the output
`value`; an object, dataclass or struct of handles has an output a member. A parameter annotated
`WorkflowBuilder` gets the builder, for the kinds of nodes that are no calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, get_type_hints, overload

import msgspec

from symphony.commons.annotations import fields_of, summary_of
from symphony.workflow._builder import CURRENT, WorkflowBuilder, builder_among
from symphony.workflow._errors import ProblemCode
from symphony.workflow._handles import NodeHandle, by_name, fault
from symphony.workflow._model import DEFAULT_PORT, Metadata, Workflow


class DefinedWorkflow:
    """A function that describes a workflow. Inside another definition, or with handles, a call adds
    a node that runs it."""

    def __init__(self, function: Callable[..., Any], **about: Any) -> None:  # as the builder's
        self.function = function
        self._id: str = about.pop("id") or function.__name__.replace("_", "-")
        self._about = about
        self._is_open = False

    @cached_property
    def workflow(self) -> Workflow:
        """The workflow; the function is called for it once. Raises WorkflowInvalid."""
        if self._is_open:
            message = f"The workflow {self._id!r} uses itself."
            fault(self._id, ProblemCode.RECURSION, message, "Use a loop.")
        builder = WorkflowBuilder(self._id, **self._about)
        self._is_open, token = True, CURRENT.set(builder)
        try:
            returned = self.function(**self._arguments(builder))
            self._take(builder, returned)
        finally:
            CURRENT.reset(token)
            self._is_open = False
        return builder.build()

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """A node of the workflow that is being defined, or that the handles belong to."""
        builder = builder_among((*args, *inputs.values()))
        if builder is None:
            message = f"{self.function.__name__} is a workflow, not a function to be called."
            hint = f"Run `{self.function.__name__}.workflow`."
            fault(self._id, ProblemCode.BAD_VALUE, message, hint)
        return builder.workflow(self, by_name(self._id, self.workflow.signature, args, inputs))

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.function, include_extras=True)
        except (NameError, TypeError) as error:
            message = f"The annotations cannot be read: {error}."
            fault(self._id, ProblemCode.BAD_SCHEMA, message)

    def _arguments(self, builder: WorkflowBuilder) -> dict[str, NodeHandle | WorkflowBuilder]:
        arguments: dict[str, NodeHandle | WorkflowBuilder] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            hint = self._hints.get(name, Any)
            if hint is WorkflowBuilder:
                arguments[name] = builder
                continue
            default = parameter.default
            given = msgspec.UNSET if default is parameter.empty else default
            arguments[name] = builder.input(name.rstrip("_"), hint, given)
        return arguments

    def _take(self, builder: WorkflowBuilder, returned: object) -> None:
        """The outputs."""
        if isinstance(returned, Mapping):
            types: Mapping[str, Any] = {}
            values: Mapping[str, object] = returned
        elif (fields := fields_of(type(returned))) is not None:
            types, values = fields, {name: getattr(returned, name) for name in fields}
        elif returned is not None:
            types, values = {DEFAULT_PORT: self._hints.get("return", Any)}, {DEFAULT_PORT: returned}
        else:
            return
        for name, value in values.items():
            builder.output(name, value, types.get(name, Any))


@overload
def define(function: Callable[..., Any], /) -> DefinedWorkflow: ...


@overload
def define(
    *,
    id: str = "",
    name: str = "",
    version: str = "0.1.0",
    description: str = "",
    extensions: Iterable[str] = (),
    metadata: Metadata = ...,
) -> Callable[[Callable[..., Any]], DefinedWorkflow]: ...


def define(
    function: Callable[..., Any] | None = None,
    /,
    *,
    id: str = "",  # noqa: A002 - what it is called everywhere
    name: str = "",
    version: str = "0.1.0",
    description: str = "",
    extensions: Iterable[str] = (),
    metadata: Metadata = Metadata(),  # noqa: B008 - it cannot change
) -> DefinedWorkflow | Callable[[Callable[..., Any]], DefinedWorkflow]:
    """Make a workflow of a function, with or without parentheses.

    Without an `id` it is the function's name, with `-` for `_`; without a `description`, the first
    paragraph of its docstring.
    """

    def defined(each: Callable[..., Any]) -> DefinedWorkflow:
        return DefinedWorkflow(
            each,
            id=id,
            name=name,
            version=version,
            description=description or summary_of(each),
            extensions=extensions,
            metadata=metadata,
        )

    return defined if function is None else defined(function)
