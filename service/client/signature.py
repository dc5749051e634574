"""A client's method looks like the description of the call that it sends: parameters and docstring."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["signed_as"]

Method = TypeVar("Method", bound=Callable[..., Any])


def signed_as(describe: Callable[..., Any]) -> Callable[[Method], Method]:
    """Give a method the name, docstring and parameters of a description, for :func:`help` and editors."""

    def sign(method: Method) -> Method:
        functools.update_wrapper(method, describe)
        described = inspect.signature(describe)
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        shown = described.replace(
            parameters=[own, *described.parameters.values()], return_annotation=inspect.Signature.empty
        )
        method.__signature__ = shown  # type: ignore[attr-defined]
        return method

    return sign
