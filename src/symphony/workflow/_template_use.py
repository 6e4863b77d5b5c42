"""A workflow out of a template and values for its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, cast

import msgspec

from symphony._version import __version__
from symphony.commons.expressions import Expression, ExpressionError
from symphony.commons.names import did_you_mean
from symphony.commons.schemas import Schema
from symphony.commons.values import Value
from symphony.workflow._errors import (
    ParametersInvalid,
    Problem,
    ProblemCode,
    TemplateInvalid,
    WorkflowInvalid,
)
from symphony.workflow._file import from_document
from symphony.workflow._model import Workflow
from symphony.workflow._scanner import pointer_to
from symphony.workflow._source import Source
from symphony.workflow._template import SECTION, Parameter, ParameterType, Template
from symphony.workflow._template_expand import Expansion, Origin, TooLarge
from symphony.workflow._template_text import Hole, PlaceholderFault, parts_of
from symphony.workflow._types import described

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_UI: Final = "x-ui"


def instantiate(template: Template, values: Mapping[str, Value]) -> Workflow:
    """The workflow that the template makes with these values, in the right shape; whether it can
    run, `validate` says, with lines of the template's own text.

    Raises ParametersInvalid with all that is wrong with the values, or TemplateInvalid.
    """
    if constraint := template.requires_newer(__version__):
        message = f"The template needs Symphony {constraint}, and this is {__version__}."
        here = f"/{SECTION}/requires/symphony"
        problem = Problem(ProblemCode.VERSION, message, here, "Update Symphony.")
        raise _invalid(template, [problem])
    names = bind_parameters(template, values)
    document = _expanded(template, names, Expansion())
    source = _TemplateSource(template, names)
    try:
        return from_document(document, source)
    except WorkflowInvalid as error:
        raise TemplateInvalid(template.source.name, error.problems) from error


def bind_parameters(template: Template, values: Mapping[str, Value]) -> dict[str, Value]:
    """A value for every parameter: the one given, else its default, else null.

    Raises ParametersInvalid with all that is unknown, missing or of the wrong type.
    """
    problems = list(_unknown(template, values))
    bound: dict[str, Value] = {}
    for number, parameter in enumerate(template.parameters):
        here = pointer_to("", parameter.name)
        if parameter.name in values:
            bound[parameter.name] = _typed(parameter, values[parameter.name])
            problems += _misfits(parameter, values[parameter.name], here)
        elif parameter.default is not msgspec.UNSET:
            bound[parameter.name] = _default(template, number, bound, problems)
        else:
            if parameter.required:
                message = f"The parameter {parameter.name!r} is missing."
                hint = _takes(parameter)
                problems.append(Problem(ProblemCode.MISSING_PARAMETER, message, here, hint))
            bound[parameter.name] = None
    if problems:
        raise ParametersInvalid(template.id, problems)
    return bound


def template_schema(template: Template) -> dict[str, Value]:
    """A JSON Schema of the values that a template takes, for forms.

    What JSON Schema has no word for stands under `x-ui`: the groups at the top, and at each
    parameter its `type`, `group`, `order`, `widget`, `placeholder`, and the `default` where it
    has to be calculated from other parameters.
    """
    properties: dict[str, Value] = {each.name: _property(each) for each in template.parameters}
    groups: list[Value] = [msgspec.to_builtins(group) for group in template.section.groups]
    return {
        "$schema": _DIALECT,
        "title": template.name or template.id,
        **({"description": template.description} if template.description else {}),
        "type": "object",
        "properties": properties,
        "required": [each.name for each in template.parameters if each.needs_value],
        "additionalProperties": False,
        _UI: {"groups": groups},
    }


def check_template(template: Template) -> None:
    """Raise TemplateInvalid with everything that is wrong with its placeholders and examples.

    Each example is made a workflow of; a template without one that makes a workflow by its
    defaults alone has only the placeholders of its defaults looked at.
    """
    problems = list(_default_faults(template))
    for number, example in enumerate(template.examples):
        here = f"/{SECTION}/examples/{number}"
        try:
            instantiate(template, example.values)
        except ParametersInvalid as error:
            problems += [
                msgspec.structs.replace(each, pointer=f"{here}/values{each.pointer}")
                for each in error.problems
            ]
        except TemplateInvalid as error:
            problems += error.problems
    if problems:
        raise _invalid(template, dict.fromkeys(problems))


class _TemplateSource(Source):
    """The text of a template, as that of a workflow made from it: knows where each of the
    workflow's values comes from."""

    def __init__(self, template: Template, names: Mapping[str, Value]) -> None:
        super().__init__(template.source.name, template.source.text)
        self._template = template
        self._names = names

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        expansion = Expansion(traced=True)
        _expanded(self._template, self._names, expansion)
        origins = expansion.origins or {}
        return self._template.source.located(_traced(each, origins) for each in problems)


def _traced(problem: Problem, origins: Mapping[str, Origin]) -> Problem:
    pointer = problem.pointer
    while pointer and pointer not in origins:
        pointer = pointer.rpartition("/")[0]
    origin = origins.get(pointer, Origin(""))
    named = ", ".join(repr(name) for name in sorted(origin.names))
    hint = f"{problem.hint} This comes from {named}.".lstrip() if named else problem.hint
    # Inside a value that was put in, the template has nothing.
    rest = "" if named else problem.pointer.removeprefix(pointer)
    return msgspec.structs.replace(problem, pointer=f"{origin.pointer}{rest}", hint=hint)


def _expanded(template: Template, names: Mapping[str, Value], expansion: Expansion) -> Value:
    document: Value = None
    with suppress(TooLarge):  # told by the problems
        document = expansion.expand(template.document, names)
    if expansion.problems:
        raise _invalid(template, expansion.problems.values())
    return document


def _invalid(template: Template, problems: Iterable[Problem]) -> TemplateInvalid:
    source = template.source
    return TemplateInvalid(source.name, source.located(problems))


def _unknown(template: Template, values: Mapping[str, Value]) -> Iterator[Problem]:
    names = [parameter.name for parameter in template.parameters]
    for name in values:
        if name not in names:
            message = f"There is no parameter {name!r}."
            hint = did_you_mean(name, names) or ("" if names else "The template takes none.")
            yield Problem(ProblemCode.UNKNOWN_PARAMETER, message, pointer_to("", name), hint)


def _misfits(parameter: Parameter, value: Value, here: str) -> Iterator[Problem]:
    for fault in Schema(parameter.json_schema).faults(value):
        message = f"The parameter {parameter.name!r} does not fit: {fault.message}."
        pointer = here + fault.pointer
        yield Problem(ProblemCode.PARAMETER_TYPE, message, pointer, _takes(parameter))


def _takes(parameter: Parameter) -> str:
    about = f" ({parameter.description.rstrip('.')})" if parameter.description else ""
    return f"It takes {described(parameter.json_schema)}{about}."


def _default(
    template: Template, number: int, known: Mapping[str, Value], problems: list[Problem]
) -> Value:
    """A default with the parameters before it put in. Those that are wrong themselves may make
    it wrong: then only they are told."""
    parameter = template.parameters[number]
    expansion = Expansion()
    value: Value = None
    with suppress(TooLarge):  # told by the problems
        value = expansion.expand(cast("Value", parameter.default), known)
    here = f"/{SECTION}/parameters/{number}/default"
    if not problems and expansion.problems:
        located = [
            msgspec.structs.replace(each, pointer=here + each.pointer)
            for each in expansion.problems.values()
        ]
        raise _invalid(template, located)
    if not problems:
        problems += _misfits(parameter, value, pointer_to("", parameter.name))
    return _typed(parameter, value)


def _typed(parameter: Parameter, value: Value) -> Value:
    """A whole number given for a decimal one becomes one: expressions do not mix the two."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if parameter.type is ParameterType.NUMBER and is_whole and abs(cast("int", value)) < 2**53:
        return float(cast("int", value))
    return value


def _property(parameter: Parameter) -> Value:
    hints: dict[str, Value] = {"type": parameter.type.value}
    hints |= {"group": parameter.group} if parameter.group else {}
    hints |= msgspec.to_builtins(parameter.ui)
    told: dict[str, Value] = {
        name: text
        for name, text in (("title", parameter.title), ("description", parameter.description))
        if text
    }
    if parameter.default is not msgspec.UNSET:
        is_made = "${" in msgspec.json.encode(parameter.default).decode()
        (hints if is_made else told)["default"] = parameter.default
    return {**parameter.json_schema, **told, _UI: hints}


def _default_faults(template: Template) -> Iterator[Problem]:
    """Placeholders of defaults may name the parameters before them only."""
    names: list[str] = []
    for number, parameter in enumerate(template.parameters):
        here = f"/{SECTION}/parameters/{number}/default"
        for text in _texts(parameter.default):
            reason, hint = _fault(text, names)
            if reason:
                message = f"The default of {parameter.name!r}: {reason}"
                yield Problem(ProblemCode.BAD_PLACEHOLDER, message, here, hint)
        names.append(parameter.name)


def _fault(text: str, names: Iterable[str]) -> tuple[str, str]:
    try:
        for part in parts_of(text):
            if isinstance(part, Hole):
                Expression.compile(part.expression, names)
    except PlaceholderFault as fault:
        return f"{fault}.", ""
    except ExpressionError as error:
        return error.message, error.hint
    return "", ""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
