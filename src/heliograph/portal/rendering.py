"""Templates, and how times, numbers and phone numbers are written for people."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import phonenumbers
from babel import Locale, dates, numbers
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from phonenumbers import NumberParseException, PhoneNumberFormat

from heliograph import __version__
from heliograph.core.ids import now_ms, uid_of
from heliograph.core.statuses import State
from heliograph.portal.languages import Languages
from heliograph.portal.whatsapp_text import render_whatsapp_text

HERE = Path(__file__).parent

# How each state looks: its word, its colour class, and the drawing in layout/marks.html.
STATE_LOOK: dict[State, tuple[str, str]] = {
    State.SCHEDULED: ("Scheduled", "wait"),
    State.QUEUED: ("Queued", "wait"),
    State.SENDING: ("Sending", "wait"),
    State.UNKNOWN: ("Unknown", "unk"),
    State.EXPIRED: ("Expired", "bad"),
    State.SENT: ("Sent", "sent"),
    State.FAILED: ("Failed", "bad"),
    State.DELIVERED: ("Delivered", "ok"),
    State.READ: ("Read", "ok"),
    State.CANCELLED: ("Cancelled", "wait"),
    State.RECEIVED: ("Received", "sent"),
}


class Pages:
    """The templates of all page groups. Built once per process."""

    def __init__(self) -> None:
        self.languages = Languages()
        self.assets = read_assets()
        self._environments = {code: self._environment(code) for code in self.languages.codes}

    def render(self, template: str, language: str, **values: Any) -> str:
        return self._environments[language].get_template(template).render(**values)

    def _environment(self, language: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(HERE),
            autoescape=is_html,  # noqa: S701 - all but letters, which are plain text
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            auto_reload=False,
        )
        translations = self.languages.translations(language)
        environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
        locale = Locale.parse(language)
        environment.globals |= {
            "language": language,
            "languages": self.languages.names,
            "direction": locale.text_direction,
            "asset": self.asset_path,
            "version": __version__,
            "state_look": STATE_LOOK,
            "query_string": query_string,
        }
        environment.filters |= {
            "number": lambda value: numbers.format_decimal(value, locale=locale),
            "percent": lambda value: numbers.format_percent(value, format="#,##0.0 %", locale=locale),
            "phone": render_phone,
            "uid": uid_of,
            "wa": render_whatsapp_text,
            "translate": translations.gettext,  # of a sentence that comes as a value; `_()` would take it for HTML of ours
            **time_filters(locale, translations.gettext),
        }
        return environment

    def asset_path(self, name: str) -> str:
        """The address of a static file; it changes with the file, so browsers may keep it for ever."""
        return f"/static/{self.assets[name][1]}/{name}"


def is_html(template: str | None) -> bool:
    """Whatever is not the text of a letter."""
    return template is None or not template.endswith(".txt")


def read_assets() -> dict[str, tuple[bytes, str]]:
    """Every static file: its bytes and a short hash of them."""
    found = {}
    for path in sorted((HERE / "static").iterdir()):
        content = path.read_bytes()
        found[path.name] = (content, hashlib.sha256(content).hexdigest()[:12])
    return found


def render_phone(person: str) -> Markup:
    """A number as people write it; what is no number (a user id, a name) as it is."""
    shown = person
    if person.removeprefix("+").isdecimal():
        try:
            parsed = phonenumbers.parse("+" + person.removeprefix("+"), None)
            shown = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
        except NumberParseException:
            shown = person
    return Markup('<bdi class="tel">') + escape(shown) + Markup("</bdi>")


def query_string(values: dict[str, Any], **changes: Any) -> str:
    """The query of a link: `values` with changes, without what is empty."""
    return urlencode({name: value for name, value in {**values, **changes}.items() if value not in (None, "")})


def time_filters(locale: Locale, gettext: Callable[[str], str]) -> dict[str, Callable[..., Any]]:
    """Times come as milliseconds UTC and are written in the account's zone."""

    def local(context: Context, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(context["zone"]))

    @pass_context
    def full_time(context: Context, at_ms: int) -> str:
        moment = local(context, at_ms)
        return f"{dates.format_date(moment, 'd MMMM y', locale=locale)}, {moment:%H:%M:%S}"

    @pass_context
    def short_time(context: Context, at_ms: int) -> str:
        """The clock for today, the day before that."""
        moment, today = local(context, at_ms), local(context, now_ms())
        if moment.date() == today.date():
            return f"{moment:%H:%M:%S}"
        form = "d MMM" if moment.year == today.year else "d MMM y"
        return f"{dates.format_date(moment, form, locale=locale)} {moment:%H:%M}"

    @pass_context
    def day(context: Context, at_ms: int) -> str:
        return dates.format_date(local(context, at_ms), "d MMMM y", locale=locale)

    @pass_context
    def when(context: Context, at_ms: int | None) -> Markup:
        """A <time>: "4 s ago" under an hour, with the full time for whoever asks."""
        if at_ms is None:
            return Markup("")
        ago_s = (now_ms() - at_ms) // 1000
        if 0 <= ago_s < 2:
            shown = gettext("just now")
        elif 0 <= ago_s < 60:
            shown = gettext("%(seconds)d s ago") % {"seconds": ago_s}
        elif 60 <= ago_s < 3600:
            shown = gettext("%(minutes)d min ago") % {"minutes": ago_s // 60}
        else:
            shown = short_time(context, at_ms)
        iso = datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
        return Markup('<time datetime="{}" title="{} {}">{}</time>').format(
            iso, full_time(context, at_ms), context["zone"], shown
        )

    @pass_context
    def clock(context: Context, at_ms: int) -> str:
        return f"{local(context, at_ms):%H:%M}"

    @pass_context
    def near_time(context: Context, at_ms: int) -> str:
        """As short as a narrow list wants it: the clock of today and tomorrow, the date of any other day."""
        moment, today = local(context, at_ms), local(context, now_ms())
        days = (moment.date() - today.date()).days
        if days == 0:
            return f"{moment:%H:%M}"
        if days == 1:
            return gettext("%(time)s tomorrow") % {"time": f"{moment:%H:%M}"}
        return dates.format_date(moment, "d MMM" if moment.year == today.year else "d MMM y", locale=locale)

    @pass_context
    def day_name(context: Context, at_ms: int) -> str:
        moment, today = local(context, at_ms), local(context, now_ms())
        days = (today.date() - moment.date()).days
        if days in {0, 1}:
            return gettext("Yesterday") if days else gettext("Today")
        return dates.format_date(moment, "EEEE d MMMM" if moment.year == today.year else "d MMMM y", locale=locale)

    def after(later_ms: int, earlier_ms: int) -> str:
        """The distance between two times, as an engineer reads it."""
        distance = max(0, later_ms - earlier_ms)
        if distance < 1000:
            return f"+{distance} ms"
        if distance < 60_000:
            return f"+{distance / 1000:.2f} s"
        if distance < 3_600_000:
            return f"+{distance // 60_000} min {distance % 60_000 // 1000} s"
        return f"+{distance // 3_600_000} h {distance % 3_600_000 // 60_000} min"

    return {
        "full_time": full_time,
        "short_time": short_time,
        "day": day,
        "when": when,
        "clock": clock,
        "near_time": near_time,
        "day_name": day_name,
        "after": after,
    }
