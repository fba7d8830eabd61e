"""Files: uploaded before they are sent, downloaded only as downloads."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Reader, Reading, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas import messages as shapes
from helpdesk.api.schemas.messages import AttachmentShown
from helpdesk.crypto import CannotOpen
from helpdesk.domain.filenames import disposition
from helpdesk.domain.media_types import EXTENSIONS, UNKNOWN
from helpdesk.errors import Forbidden, Invalid, NotFound, TooLarge, TooMany
from helpdesk.services import attachments, blobs

router = APIRouter(prefix="/api/v1/attachments", tags=["attachments"])

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


_KEPT: Final = 3600
"""Seconds. Short, since what was erased or taken out of somebody's sight is not to be shown for long."""

_ETAG: Final = {"$ref": "#/components/headers/FileETag"}
_FILE: Final[dict[str, Any]] = {
    "schema": {"type": "string", "format": "binary"},
    "example": "(the bytes of the file)",
}


@router.post(
    "",
    status_code=201,
    summary="Upload a file",
    response_model=AttachmentShown,
    responses=documented(Forbidden, TooLarge, TooMany),
    openapi_extra=_FORM,
)
async def upload_file(request: Request, actor: Writer, services: House) -> Response:
    """One part named `file`. Its type is told from its bytes; give the id in `attachment_ids` within a day."""
    limit = services.settings.max_upload_mb * 1024 * 1024
    try:
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Invalid.field("file", "send one part named file")
            if file.size is not None and file.size > limit:
                raise TooLarge(f"a file may have {services.settings.max_upload_mb} MB")
            body, name, kind = await file.read(), file.filename or "", file.content_type or ""
    except HTTPException:
        raise Invalid.field("file", "send multipart/form-data with one part named file") from None
    row = await attachments.store(services, filename=name, content_type=kind, body=body, by=actor, now=clock.now())
    return answer(shapes.attachment(row), status=201)


@router.get(
    "/{attachment_id}",
    summary="Download a file",
    response_class=Response,
    responses={
        200: {
            "description": "The file, always as a download",
            "headers": {"ETag": _ETAG},
            "content": dict.fromkeys((UNKNOWN, *EXTENSIONS), _FILE),
        },
        304: {"description": "It is what `If-None-Match` names", "headers": {"ETag": _ETAG}},
        **documented(Forbidden, NotFound, CannotOpen),
    },
)
async def download_file(
    request: Request, actor: Reader, services: House, session: Reading, attachment_id: UUID
) -> Response:
    """Under a safe type; browsers neither sniff nor show it. It never changes: a browser may keep it for an hour."""
    row = await attachments.get_attachment(session, actor, attachment_id)
    body = await blobs.get(services, session, row["blob_id"])
    headers = {
        "Content-Type": row["content_type"],
        "Content-Disposition": disposition(row["filename"]),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": f"private, max-age={_KEPT}, immutable",
        # Of another session in the same browser nothing that was kept is shown: who may see it is asked anew.
        "Vary": "Cookie, Authorization",
        "ETag": f'"{attachment_id}"',
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)
