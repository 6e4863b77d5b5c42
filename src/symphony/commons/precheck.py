"""Rules to check a value before work begins, so that all that is wrong is told at once.

A rule is a name and a function from a value to faults. Rules combine: `all_of` gathers every
fault, `any_of` is content with one rule, `negate` turns a rule round, `on` looks at a part.

    report_folder = all_of(folder_writable(), free_space(64 * MIB))
    require(report_folder, Path("out"))

Rules look at most at one file or folder and take well under a millisecond; a network disk may
take longer.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.files import FileError, existing_part, format_size, open_regular, translated

T = TypeVar("T")
V = TypeVar("V")
# A rule for anything with a length is also a rule for texts.
T_contra = TypeVar("T_contra", contravariant=True)


class Fault(NamedTuple):
    """What is wrong, as a sentence's second half ("must be ..."), and the rule that says so."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule(Generic[T_contra]):
    name: str
    check: Callable[[T_contra], tuple[Fault, ...]]


class PrecheckFailed(SymphonyError):
    """One or more rules were broken: `faults`, in the order of the rules."""

    code = "precheck.failed"
    category = Category.VALIDATION

    def __init__(self, subject: str, faults: tuple[Fault, ...]) -> None:
        self.subject = subject
        self.faults = faults
        super().__init__(f"{subject}: {'; '.join(fault.message for fault in faults)}.")


def rule(name: str, fault_in: Callable[[T], str | None]) -> Rule[T]:
    """A rule of your own; `fault_in` says what is wrong with a value, or None."""

    def check(value: T) -> tuple[Fault, ...]:
        message = fault_in(value)
        return () if message is None else (Fault(name, message),)

    return Rule(name, check)


def require(rule: Rule[T], value: T, *, subject: str) -> T:
    """The value itself, or PrecheckFailed with every fault; `subject` names the value in it."""
    faults = rule.check(value)
    if faults:
        raise PrecheckFailed(subject, faults)
    return value


def all_of(*rules: Rule[T]) -> Rule[T]:
    def check(value: T) -> tuple[Fault, ...]:
        return tuple(fault for each in rules for fault in each.check(value))

    return Rule("all_of", check)


def any_of(*rules: Rule[T]) -> Rule[T]:
    """Satisfied by the first rule that holds; else one fault that tells all alternatives."""

    def fault_in(value: T) -> str | None:
        missed = []
        for each in rules:
            faults = each.check(value)
            if not faults:
                return None
            missed.append(" and ".join(fault.message for fault in faults))
        return ", or ".join(missed)

    return rule("any_of", fault_in)


def negate(negated: Rule[T], message: str) -> Rule[T]:
    """Holds where `negated` does not; only the caller knows how to say that: `message`."""
    return rule(f"not {negated.name}", lambda value: None if negated.check(value) else message)


def on(label: str, part: Callable[[T], V], inner: Rule[V]) -> Rule[T]:
    """Apply a rule to a part of the value; its faults begin with `label`."""

    def check(value: T) -> tuple[Fault, ...]:
        faults = inner.check(part(value))
        return tuple(Fault(fault.rule, f"{label} {fault.message}") for fault in faults)

    return Rule(inner.name, check)


def matches(pattern: str, description: str) -> Rule[str]:
    """The whole text fits `pattern`, which is ours: a hostile one could take for ever."""
    compiled = re.compile(pattern)

    def fault_in(text: str) -> str | None:
        return None if compiled.fullmatch(text) else f"must be {description}, is {_short(text)}"

    return rule("matches", fault_in)


def max_length(limit: int) -> Rule[Sized]:
    def fault_in(value: Sized) -> str | None:
        found = len(value)
        return None if found <= limit else f"must have a length of at most {limit}, has {found}"

    return rule("max_length", fault_in)


def in_range(low: float, high: float) -> Rule[float]:
    """Both ends included; NaN is outside."""

    def fault_in(number: float) -> str | None:
        return None if low <= number <= high else f"must be from {low:g} to {high:g}, is {number:g}"

    return rule("in_range", fault_in)


def one_of(choices: Collection[str]) -> Rule[str]:
    def fault_in(text: str) -> str | None:
        if text in choices:
            return None
        listed = ", ".join(repr(choice) for choice in choices)
        return f"must be one of {listed}, is {_short(text)}"

    return rule("one_of", fault_in)


def file_readable() -> Rule[Path]:
    def open_and_close(path: Path) -> None:
        open_regular(path).close()

    return _without_error("file_readable", open_and_close)


def folder_readable() -> Rule[Path]:
    def open_and_close(path: Path) -> None:
        with translated(path):
            os.scandir(path).close()

    return _without_error("folder_readable", open_and_close)


def folder_writable() -> Rule[Path]:
    """The folder exists and files may be made in it. It asks; it makes none."""

    def fault_in(folder: Path) -> str | None:
        if not folder.is_dir():
            return "must be an existing folder"
        return None if os.access(folder, os.W_OK | os.X_OK) else "must be writable"

    return rule("folder_writable", fault_in)


def free_space(needed: int) -> Rule[Path]:
    """At least `needed` bytes are free where the path is, or would be made."""

    def fault_in(path: Path) -> str | None:
        free = shutil.disk_usage(existing_part(path)).free
        if free >= needed:
            return None
        return f"must have {format_size(needed)} of free space, has {format_size(free)}"

    return rule("free_space", fault_in)


def _without_error(name: str, attempt: Callable[[Path], None]) -> Rule[Path]:
    def fault_in(path: Path) -> str | None:
        try:
            attempt(path)
        except FileError as error:
            return error.message.removesuffix(".")
        return None

    return rule(name, fault_in)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
