"""Reading what clients send: bounded in size, decoded into a type, and refused with a reason."""

from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from backend.foundation.kernel.errors import AutoWeaveError, Invalid, TooLarge

T = TypeVar("T")

MAX_BODY = 1024 * 1024
_MAX_FORM = 16 * 1024
_MOST_FIELDS = 20


class UnsupportedMediaType(AutoWeaveError):
    """The body is of a type that the endpoint cannot read."""

    code = "unsupported_media_type"
    status = 415
    hint = "Send the Content-Type that the endpoint's description names."


class ClientGone(AutoWeaveError):
    """The client went away before its request was complete; nobody sees this answer."""

    code = "client_gone"
    status = 400


def media_type(headers: Headers) -> str:
    """Return the content type without parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """Return the whole body; raise `TooLarge` as soon as it is above the limit (bytes)."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect as error:
        raise ClientGone("The client went away.") from error
    return bytes(body)


async def read_json(request: Request, kind: type[T]) -> T:
    """Return the body as a JSON value of a type.

    Raises:
        UnsupportedMediaType: the content type is not JSON.
        TooLarge: it has more than 1 MiB.
        Invalid: it is no JSON, nested too deeply, or does not fit; ``field`` is the path, such as ``$.input``.
    """
    if media_type(request.headers) not in ("application/json", ""):
        raise UnsupportedMediaType("The body must be JSON.", hint="Send `Content-Type: application/json`.")
    return decode_json(await read_body(request), kind)


def decode_json(body: bytes, kind: type[T]) -> T:
    """Return JSON text as a value of a type; raise `Invalid`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise Invalid(f"{reason}.", field=path.rstrip("`") or "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not JSON: {error}.", field="$") from error
    except RecursionError as error:
        raise Invalid("The body is nested too deeply.", field="$") from error


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a native form post, the last of each name; raise `UnsupportedMediaType` or `TooLarge`."""
    if media_type(request.headers) != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("This takes a form.", hint="Use the page's own form.")
    body = await read_body(request, _MAX_FORM)
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Invalid("The form cannot be read.") from error


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is above {limit // 1024:,} KiB.")
