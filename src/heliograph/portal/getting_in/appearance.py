"""Language and colours of the portal: a choice of this browser, kept in its cookies, before the log-in too."""

from litestar import get, post
from litestar.params import FromPath

from heliograph.errors import Invalid, NotFound
from heliograph.portal import languages
from heliograph.portal.access import Rule
from heliograph.portal.getting_in.entering import safe_next
from heliograph.portal.visit import THEME_COOKIE, THEMES, Answer, OnVisit, Visit


@get("/language/{code:str}", opt={"rule": Rule.PUBLIC})
async def choose_language(visit: OnVisit, code: FromPath[str]) -> Answer:
    if code not in visit.desk.pages.languages.codes:
        raise NotFound("This portal does not speak that language.")
    answer = visit.go(page_before(visit))
    visit.keep_choice(answer, languages.COOKIE, code)
    return answer


@post("/appearance", opt={"rule": Rule.PUBLIC})
async def choose_appearance(visit: OnVisit) -> Answer:
    """Keeps what the form has of `language` and `theme`; an empty one is for the browser to choose again."""
    form = await visit.form()
    offered = {languages.COOKIE: visit.desk.pages.languages.codes, THEME_COOKIE: THEMES}
    answer = visit.go(page_before(visit))
    for name, known in offered.items():
        if name not in form:
            continue
        if form[name] and form[name] not in known:
            raise Invalid.field(name, "The portal does not have this one.")
        visit.keep_choice(answer, name, form[name])
    return answer


def page_before(visit: Visit) -> str:
    """The page of ours on which the choice was made."""
    referrer = visit.request.headers.get("referer", "")
    base = visit.caller.base_url
    return safe_next(referrer.removeprefix(base)) if referrer.startswith(base + "/") else "/"


ROUTES = (choose_language, choose_appearance)
