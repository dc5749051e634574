"""Reading ``multipart/form-data``: pictures under ``files``, options under their names, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.api.field_faults import refuse_crowds, told
from service.embedding.box import Box
from service.problems import BadRequest

FILES: Final = "files"

Options = TypeVar("Options", bound=BaseModel)

_MAX_FIELD_BYTES: Final = 4 * 1024 * 1024
"""Of one option; `items` of 64 pictures with own metadata fits by far."""


class _WholeForm(MultiPartParser):
    """starlette's own, which takes a form that is cut off without its last part, and any bytes for text."""

    _ended = False

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode()
            except UnicodeDecodeError as error:
                raise MultiPartException(f"The part '{part.field_name[:100]}' is not UTF-8.") from error
        super().on_part_end()

    def on_end(self) -> None:
        self._ended = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self._ended:
            await form.close()
            raise MultiPartException("It ends before its closing boundary.")
        return form


@dataclass(frozen=True, slots=True)
class Form:
    """A form as sent.

    Attributes:
        files: the pictures' bytes, in order.
        fields: the other parts, by name.
    """

    files: list[bytes]
    fields: dict[str, str]


def described(
    files: Mapping[str, Any], fields: type[BaseModel], examples: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The ``openapi_extra`` of a call that takes pictures and options.

    Args:
        files: JSON schema members of the parts named ``files``: how many, and of what.
        fields: the options.
        examples: by what they ask for: parts of a request, by name; ``files`` stands for pictures that the
            caller chooses. The call's answer on the page is that to the first.
    """
    pictures = {"type": "array", "items": {"type": "string", "format": "binary"}, **files}
    options = fields.model_json_schema()
    schema = {
        "type": "object",
        "required": [FILES, *options.get("required", ())],
        "additionalProperties": False,
        "properties": {
            FILES: pictures,
            **{name: _present(option) for name, option in options["properties"].items()},
        },
    }
    form = {
        "schema": schema,
        "examples": {name: {"summary": name, "value": dict(parts)} for name, parts in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


def _present(option: Mapping[str, Any]) -> dict[str, Any]:
    """An option's schema without null: in a form, what is not said is left out."""
    choices = [choice for choice in option.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return dict(option)
    return {
        **choices[0],
        **{
            key: value
            for key, value in option.items()
            if key != "anyOf" and (key, value) != ("default", None)
        },
    }


def read_options(form: Form, kind: type[Options]) -> Options:
    """The form's options, validated.

    Raises:
        BadRequest: one of them does not validate; the detail names it.
    """
    for name, text in form.fields.items():
        refuse_crowds(text, name)
    try:
        return kind.model_validate(form.fields)
    except ValidationError as error:
        raise BadRequest(*told([_as_json(fault, kind) for fault in error.errors()])) from error


def _as_json(fault: Mapping[str, Any], kind: type[BaseModel]) -> Mapping[str, Any]:
    """Of an option that is no JSON at all: what it is to be, by the example that it is described with."""
    if fault["type"] != "json_invalid":
        return fault
    example = str((kind.model_fields[fault["loc"][0]].examples or [""])[0])
    what = "object" if example.startswith("{") else "array"
    return {**fault, "msg": f"Must be a JSON {what}, e.g. {example}"}


def read_boxes(numbers: Sequence[Sequence[int] | None] | None, files: int) -> list[Box | None]:
    """One box, or None, for each file; empty where none were given.

    Raises:
        BadRequest: not as many boxes as files.
    """
    if numbers is None:
        return []
    if len(numbers) != files:
        raise BadRequest(f"boxes: there are {files} files but {len(numbers)} boxes; null means no box.")
    return [None if box is None else Box(*box) for box in numbers]


async def read_form(request: Request, *, max_files: int, fields: Collection[str]) -> Form:
    """Read a request's form.

    Args:
        request: whose body is read.
        max_files: most parts named ``files``; at least one must be there.
        fields: names of the options this call knows.

    Raises:
        BadRequest: not multipart, damaged or cut off, text that is not UTF-8, a part of an unknown name, an
            option twice or sent as a file, or no or too many pictures. The detail says which.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise BadRequest(
            f"Pictures travel as multipart/form-data with parts named '{FILES}'; this request is "
            f"{kind.split(';')[0] or 'without a content type'}."
        )
    try:
        form = await _WholeForm(
            request.headers,
            request.stream(),
            max_files=max_files,
            max_fields=len(fields) + 1,
            max_part_size=_MAX_FIELD_BYTES,
        ).parse()
    except MultiPartException as error:
        raise BadRequest(f"The form cannot be read: {error.message.rstrip('.')}.") from error
    pictures: list[bytes] = []
    options: dict[str, str] = {}
    try:
        for name, value in form.multi_items():
            if name == FILES:
                if not isinstance(value, UploadFile):
                    raise BadRequest(
                        f"The part '{FILES}' is a text field; send each picture as a file, with a filename."
                    )
                pictures.append(await value.read())
            elif name not in fields:
                known = ", ".join(f"'{field}'" for field in (FILES, *sorted(fields)))
                raise BadRequest(f"The form has a part named '{name[:100]}'; known are {known}.")
            elif isinstance(value, UploadFile):
                raise BadRequest(f"The part '{name}' is a file; send it as a text field, without a filename.")
            elif name in options:
                raise BadRequest(f"The form has the field '{name}' twice.")
            else:
                options[name] = value
    finally:
        await form.close()
    if not pictures:
        raise BadRequest(f"The form has no picture: send at least one part named '{FILES}'.")
    return Form(pictures, options)
