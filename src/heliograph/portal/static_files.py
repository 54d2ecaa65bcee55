"""Our own style sheet, script and picture. Their addresses carry a hash of the content, so a browser may keep them."""

from litestar import Response, get
from litestar.params import FromPath

from heliograph.errors import NotFound
from heliograph.portal.access import Rule
from heliograph.portal.visit import OnVisit

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "webmanifest": "application/manifest+json"}


@get("/static/{mark:str}/{name:str}", opt={"rule": Rule.PUBLIC})
async def serve_asset(visit: OnVisit, mark: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    if name not in visit.desk.pages.assets:
        raise NotFound("There is no such file.")
    content, current = visit.desk.pages.assets[name]
    kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return Response(
        content,
        media_type=f"{kind}; charset=utf-8",
        # While nodes are upgraded one by one, a page of one release may ask another one: that answer is not kept.
        headers={"cache-control": "public, max-age=31536000, immutable" if mark == current else "no-store"},
    )
