"""Pages of whoever brings many companies at once: the file, what of it is good, the yes, and what has become of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Requires, Visitor
from klucznik.access.told import sends_mail
from klucznik.domain.bulk_imports import ImportLine
from klucznik.domain.csv_import import Column, Fault, ImportMethod
from klucznik.domain.languages import Language
from klucznik.domain.roles import Action
from klucznik.errors import InputError
from klucznik.messages import Words
from klucznik.services import imports
from klucznik.services.imports import BATCH, PAGE
from klucznik.views.csv_files import MEDIA_TYPE, csv_file
from klucznik.web.invitations import MAIL, link_of, page_of_links
from klucznik.web.pages import render, told, words_of

router = APIRouter()

Importing = Annotated[Visitor, Depends(Requires(Action.IMPORT))]
_SHOWN = {"bad": True, "good": False}


@router.get("/imports")
async def listed(
    request: Request, visitor: Importing, after: Annotated[str | None, Query(max_length=32)] = None
) -> HTMLResponse:
    return await _listed(request, visitor, after=after)


@router.post("/imports")
async def bring(
    request: Request,
    visitor: Importing,
    file: Annotated[UploadFile | None, File()] = None,
    otherwise: Annotated[str, Form()] = "",
) -> Response:
    content = b"" if file is None else await file.read()
    method = ImportMethod(otherwise) if otherwise in list(ImportMethod) else ImportMethod.INVITATION
    try:
        if file is None or not file.filename:
            raise InputError("csv_file_missing")  # noqa: TRY301  said at the field like every other mistake
        brought = await imports.bring(
            visitor.klucznik, visitor.principal, content, file_name=file.filename, otherwise=method
        )
    except InputError as error:
        text = told(request, error)
        return await _listed(request, visitor, method=method, error=" ".join(filter(None, (text.what, text.now))))
    return RedirectResponse(f"/imports/{brought.bulk_import.id}", status_code=303)


@router.get("/imports/template.csv")
async def template(request: Request, _: Importing) -> Response:
    words = words_of(request)
    method = words.say("imports.method.invitation").lower()
    rows = [[words.say(f"imports.column.{column.value}") for column in Column]]
    rows.append(["525-000-10-03", "Piekarnia Pod Zegarem", "jan@example.com", method])
    return _file(csv_file(rows), "klucznik-firmy.csv")


@router.get("/imports/{import_id}")
async def one(
    request: Request,
    visitor: Importing,
    import_id: str,
    show: str = "",
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> HTMLResponse:
    brought = await imports.one_import(visitor.klucznik, visitor.principal, import_id)
    found = await imports.page_of_lines(
        visitor.klucznik, visitor.principal, import_id, size=PAGE + 1, after=after, bad=_SHOWN.get(show)
    )
    further = f"?show={show}&after={found[PAGE - 1].line.number}" if len(found) > PAGE else None
    words = words_of(request)
    return render(
        request,
        "imports/one.html",
        bulk_import=brought.bulk_import,
        tally=brought.tally,
        by_mail=sends_mail(request),
        lines=[(one, _faults(one, words)) for one in found[:PAGE]],
        show=show if show in _SHOWN else "",
        further=further,
        Column=Column,
    )


@router.get("/imports/{import_id}/bad.csv")
async def bad_lines(request: Request, visitor: Importing, import_id: str) -> Response:
    """The lines with mistakes, to be put right and brought again."""
    words = words_of(request)
    rows = [
        [
            *(words.say(f"imports.column.{column.value}") for column in Column),
            words.say("imports.csv.line"),
            words.say("imports.csv.why"),
        ]
    ]
    after = 0
    while found := await imports.page_of_lines(
        visitor.klucznik, visitor.principal, import_id, size=BATCH, after=after, bad=True
    ):
        rows += [[*_cells(one), str(one.line.number), " ".join(_faults(one, words))] for one in found]
        after = found[-1].line.number
    return _file(csv_file(rows), "klucznik-bledne-wiersze.csv")


@router.post("/imports/{import_id}/carry-out")
async def carry_out(
    request: Request,
    visitor: Importing,
    import_id: str,
    how: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = Language.POLISH,
) -> RedirectResponse:
    by_mail = page_of_links(request) if how == MAIL and sends_mail(request) else None
    done = await imports.carry_out(visitor.klucznik, visitor.principal, import_id, language=language, by_mail=by_mail)
    return RedirectResponse(f"/imports/{done.bulk_import.id}", status_code=303)


@router.post("/imports/{import_id}/links")
async def links(request: Request, visitor: Importing, import_id: str) -> Response:
    """The links of the invitations; shown this once."""
    words = words_of(request)
    named = [Column.NIP, Column.NAME, Column.EMAIL]
    rows = [
        [
            *(words.say(f"imports.column.{column.value}") for column in named),
            words.say("imports.csv.link"),
            words.say("imports.csv.until"),
        ]
    ]
    for one in await imports.links(visitor.klucznik, visitor.principal, import_id):
        invitation = one.invitation
        rows.append(
            [
                invitation.context.value,
                invitation.name or "",
                invitation.email or "",
                link_of(request, one.token),
                words.moment(invitation.expires_at),
            ]
        )
    return _file(csv_file(rows), "klucznik-zaproszenia.csv")


@router.post("/imports/{import_id}/discard")
async def discard(visitor: Importing, import_id: str) -> RedirectResponse:
    await imports.discard(visitor.klucznik, visitor.principal, import_id)
    return RedirectResponse("/imports", status_code=303)


async def _listed(
    request: Request,
    visitor: Visitor,
    *,
    after: str | None = None,
    method: ImportMethod = ImportMethod.INVITATION,
    error: str | None = None,
) -> HTMLResponse:
    found = await imports.page_of_imports(visitor.klucznik, visitor.principal, size=PAGE + 1, after=after)
    return render(
        request,
        "imports/list.html",
        status=422 if error else 200,
        imports=found[:PAGE],
        further=f"?after={found[PAGE - 1].id}" if len(found) > PAGE else None,
        methods=list(ImportMethod),
        method=method,
        columns=list(Column),
        errors={"file": error} if error else {},
    )


def _faults(one: ImportLine, words: Words) -> list[str]:
    return [_sentence(fault, words) for fault in one.line.faults]


def _sentence(fault: Fault, words: Words) -> str:
    return words.say(f"error.{fault.reason}", **fault.data)


def _cells(one: ImportLine) -> Sequence[str]:
    return [one.line.cells.get(column, "") for column in Column]


def _file(content: bytes, name: str) -> Response:
    return Response(content, media_type=MEDIA_TYPE, headers={"content-disposition": f'attachment; filename="{name}"'})
