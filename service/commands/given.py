"""Settings as a command's options and the environment give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.commands.saying import fail

if TYPE_CHECKING:
    from service.settings import Settings

__all__ = ["settings_of"]


def settings_of(**options: Any) -> Settings:
    """The settings; one that is not valid ends the command with what is wrong.

    Args:
        options: by the names of settings; what is None was not given.
    """
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
            if fault["type"] != "default_factory_not_called"  # for want of the others
        ]
        fail("a setting is not valid\n  " + "\n  ".join(faults), code=2)
