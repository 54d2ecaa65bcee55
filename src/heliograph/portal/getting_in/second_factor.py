"""The second step of the log-in: the code of the phone's app, or a recovery code."""

import msgspec
from litestar import post
from msgspec import Struct

from heliograph.accounts import sessions
from heliograph.core.ids import now_ms
from heliograph.errors import TooManyRequests
from heliograph.portal.access import Rule
from heliograph.portal.getting_in.entering import admit, refusal_of, safe_next
from heliograph.portal.visit import Answer, OnVisit, Visit

HALFWAY_MS = 300_000  # between the password and the code


class Halfway(Struct, frozen=True):
    """Someone whose password was right, until when they may give their code. Signed, in a hidden field."""

    user_id: int
    until_ms: int


def render_code(
    visit: Visit, user_id: int, next_path: str, *, status: int = 200, errors: dict[str, list[str]] | None = None
) -> Answer:
    halfway = msgspec.json.encode(Halfway(user_id, now_ms() + HALFWAY_MS)).decode()
    return visit.render(
        "getting_in/code.html", status=status, halfway=visit.desk.csrf.sign(halfway), next=next_path, errors=errors
    )


def read_halfway(visit: Visit, signed: str) -> Halfway | None:
    text = visit.desk.csrf.read_signed(signed)
    if text is None:
        return None
    try:
        halfway = msgspec.json.decode(text, type=Halfway)
    except msgspec.DecodeError:
        return None
    return halfway if halfway.until_ms > now_ms() else None


@post("/login/code", opt={"rule": Rule.PUBLIC})
async def give_code(visit: OnVisit) -> Answer:
    form = await visit.form()
    halfway, next_path = read_halfway(visit, form["halfway"]), safe_next(form["next"])
    if halfway is None:
        return visit.go("/login", visit.gettext("That took too long. Log in again."))
    try:
        opened = await sessions.log_in_with_code(
            visit.runtime, halfway.user_id, form["code"], visit.caller.address, visit.caller.agent
        )
    except (sessions.WrongPassword, TooManyRequests) as error:
        sentence = refusal_of(visit, error, visit.gettext("This code does not fit, or was used already."))
        return render_code(visit, halfway.user_id, next_path, status=error.http_status, errors={"code": [sentence]})
    return admit(visit, opened, next_path)


ROUTES = (give_code,)
