"""The templates of an account: list, create, edit, delete, unpause (whatsapp-cloud-api.md §9)."""

import asyncio
import re
from typing import Any

from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.events import template_event
from heliograph.emulators.cloud_api.graph import Call, pick_fields
from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter, refuse, unknown_object
from heliograph.emulators.cloud_api.hydrating import VARIABLE, variables_of
from heliograph.emulators.cloud_api.names import make_object_id
from heliograph.emulators.cloud_api.paging import page_of
from heliograph.emulators.cloud_api.world import Template, now

NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2,3})?")
CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
LONGEST = {"HEADER": 60, "BODY": 1024, "FOOTER": 60}
TOO_MANY_VARIABLES_CODE, EDGE_VARIABLE_CODE = 2388293, 2388299
MOST_TEMPLATES = 6000  # of a verified business
BANNED_FOR_S = 30 * 24 * 3600.0
USUAL_FIELDS = ("name", "parameter_format", "components", "language", "status", "category", "sub_category")


def facts_of(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "parameter_format": template.parameter_format,
        "components": template.components,
        "quality_score": {"score": template.quality, "date": int(template.edited_at)},
        "rejected_reason": template.rejected_reason,
    }


async def list_templates(emulator: Emulator, call: Call) -> dict[str, Any]:
    """GET /{waba_id}/message_templates: by name, status, category, language. Raises GraphError."""
    query = call.query
    rows = [one for one in emulator.world.state.templates.values() if one.waba_id == call.object_id]
    rows = [one for one in rows if one.status != "DELETED"]
    for name in ("status", "category", "language"):
        if wanted := query.get(name):
            rows = [one for one in rows if str(getattr(one, name)).lower() == wanted.lower()]
    if wanted := query.get("name"):
        rows = [one for one in rows if wanted.lower() in one.name]
    page = page_of([pick_fields(facts_of(one), query.get("fields"), USUAL_FIELDS) for one in rows], call)
    if "summary" in query:
        page["summary"] = {
            "total_count": len(rows),
            "message_template_count": len(rows),
            "message_template_limit": MOST_TEMPLATES,
            "are_translations_complete": True,
        }
    return page


async def read_template(emulator: Emulator, call: Call) -> dict[str, Any]:
    template = emulator.world.state.templates[call.object_id]
    return pick_fields(facts_of(template), call.query.get("fields"), USUAL_FIELDS)


async def create_template(emulator: Emulator, call: Call) -> dict[str, Any]:
    """POST /{waba_id}/message_templates: PENDING, and approved or rejected a moment later. Raises GraphError."""
    given = await call.parameters()
    name, language, category = given.get("name"), given.get("language"), str(given.get("category", "")).upper()
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise bad_parameter("Param name must have lower-case letters, digits and underscores only, at most 512.")
    if not isinstance(language, str) or not LANGUAGE.fullmatch(language):
        raise bad_parameter("Param language is not a supported language.")
    if category not in CATEGORIES:
        raise bad_parameter(f'Param category must be one of {{{", ".join(CATEGORIES)}}} - got "{category}".')
    form = str(given.get("parameter_format", "POSITIONAL")).upper()
    if form not in {"POSITIONAL", "NAMED"}:
        raise bad_parameter("Param parameter_format must be one of {NAMED, POSITIONAL}.")
    components = given.get("components")
    check_components(components, form)
    check_name_is_free(emulator, call.object_id, name, language)
    template = Template(
        id=make_object_id(),
        waba_id=call.object_id,
        name=name,
        language=language,
        category=category,
        status="PENDING",
        components=components,  # type: ignore[arg-type]  # checked above
        parameter_format=form,
        edited_at=now(),
    )
    emulator.world.state.templates[template.id] = template
    emulator.save()
    emulator.start(review(emulator, template))
    return {"id": template.id, "status": template.status, "category": template.category}


def check_name_is_free(emulator: Emulator, waba_id: str, name: str, language: str) -> None:
    if emulator.world.state.banned_names.get(f"{waba_id}/{name}", 0.0) > now():
        raise user_error(2388023, "Message template is being deleted", "Use another name, or wait for 30 days.")
    taken = any(
        one.waba_id == waba_id and one.name == name and one.language == language and one.status != "DELETED"
        for one in emulator.world.state.templates.values()
    )
    if taken:
        raise user_error(2388024, "Content in this language already exists", f"There is {name} in {language} already.")


def user_error(subcode: int, title: str, sentence: str) -> GraphError:
    return GraphError(
        100,
        "Invalid parameter",
        subcode=subcode,
        user_title=title,
        user_message=sentence,
        is_transient=False,
    )


def check_components(components: Any, form: str) -> None:
    """Raises GraphError."""
    if not isinstance(components, list) or not all(isinstance(one, dict) for one in components):
        raise bad_parameter("The parameter components is required.")
    kinds = [str(one.get("type", "")).upper() for one in components]
    if kinds.count("BODY") != 1:
        raise user_error(2388072, "Body format is incorrect", "A template has exactly one body.")
    for kind, component in zip(kinds, components, strict=True):
        if kind not in {*LONGEST, "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER"}:
            raise bad_parameter(
                f"Param components[…]['type'] must be one of {{BODY, BUTTONS, FOOTER, HEADER}} - got \"{kind}\"."
            )
        if kind in LONGEST and (kind != "HEADER" or str(component.get("format", "")).upper() == "TEXT"):
            check_component_text(kind, component, form)
        if kind == "BUTTONS":
            check_buttons(component.get("buttons"))


def check_component_text(kind: str, component: dict[str, Any], form: str) -> None:
    text = component.get("text")
    if (
        kind != "HEADER"
        and text is None
        and ("add_security_recommendation" in component or "code_expiration_minutes" in component)
    ):
        return  # of an authentication template: the words are Meta's
    if not isinstance(text, str) or not text:
        raise user_error(2388072, "A text is missing", f"The {kind.lower()} needs a text.")
    if len(text) > LONGEST[kind]:
        raise user_error(2388040, "A field is too long", f"The {kind.lower()} may have {LONGEST[kind]} characters.")
    variables = variables_of(text)
    if kind == "FOOTER" and variables:
        raise user_error(2388073, "Footer format is incorrect", "A footer has no variables.")
    if kind == "HEADER" and len(variables) > 1:
        raise user_error(2388047, "Header format is incorrect", "A header has one variable at most.")
    check_variables(text, variables, form)
    if variables and not component.get("example"):
        raise user_error(2388043, "An example is missing", f"Each variable of the {kind.lower()} needs an example.")


def check_variables(text: str, variables: list[str], form: str) -> None:
    """Numbered from 1 without gaps, or named; not at an edge of the text; not more than the text can bear."""
    if form == "POSITIONAL" and sorted(variables) != sorted(str(n + 1) for n in range(len(variables))):
        raise user_error(2388072, "Variables are not in order", "Variables are {{1}}, {{2}} and so on.")
    plain = text.strip()
    matches = list(VARIABLE.finditer(plain))
    if matches and (matches[0].start() == 0 or matches[-1].end() == len(plain)):
        raise user_error(
            EDGE_VARIABLE_CODE, "Variables at an edge", "Variables cannot be at the start or the end of the text."
        )
    words = len(VARIABLE.sub(" ", plain).split())
    if len(matches) * 2 + 1 > words + len(matches):
        raise user_error(TOO_MANY_VARIABLES_CODE, "Too many variables", "The text is too short for so many variables.")


def check_buttons(buttons: Any) -> None:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 10:
        raise bad_parameter("Param buttons must have 1 to 10 buttons.")
    for button in buttons:
        if not isinstance(button, dict) or not isinstance(button.get("type"), str):
            raise bad_parameter("Each button needs a type.")
        if len(str(button.get("text", ""))) > 25:
            raise user_error(2388040, "A field is too long", "The label of a button may have 25 characters.")


async def review(emulator: Emulator, template: Template) -> None:
    """Approve it after a moment; a name that contains `reject` is rejected, one that contains `pending` stays."""
    await asyncio.sleep(emulator.options.review_after_s)
    if template.status != "PENDING" or "pending" in template.name:
        return
    rejected = "reject" in template.name
    template.status = "REJECTED" if rejected else "APPROVED"
    template.rejected_reason = "INVALID_FORMAT" if rejected else "NONE"
    emulator.save()
    tell(emulator, template, template.status)


def tell(emulator: Emulator, template: Template, event: str) -> None:
    number = next((one for one in emulator.world.state.numbers.values() if one.waba_id == template.waba_id), None)
    if number is not None:
        emulator.outbox.put(template_event(number, template, event))


async def edit_template(emulator: Emulator, call: Call) -> dict[str, Any]:
    """POST /{template_id}: once a day when approved, not while in review. Raises GraphError."""
    template = emulator.world.state.templates[call.object_id]
    given = await call.parameters()
    if template.status == "PENDING":
        raise refuse(2388039)
    if template.status == "APPROVED" and now() - template.edited_at < 24 * 3600.0 and template.edited_at:
        raise user_error(2388039, "Template cannot be edited now", "An approved template can be edited once a day.")
    if "components" in given:
        check_components(given["components"], template.parameter_format)
        template.components = given["components"]
    if "category" in given:
        if str(given["category"]).upper() not in CATEGORIES:
            raise bad_parameter("Param category is not valid.")
        template.category = str(given["category"]).upper()
    template.status, template.edited_at = "PENDING", now()
    emulator.save()
    emulator.start(review(emulator, template))
    return {"success": True, "id": template.id, "name": template.name, "category": template.category}


async def delete_templates(emulator: Emulator, call: Call) -> dict[str, bool]:
    """By name in all languages, or one or several by id. An approved name is blocked for 30 days. Raises GraphError."""
    given = await call.parameters()
    ids = given.get("hsm_ids") or ([given["hsm_id"]] if given.get("hsm_id") else [])
    if isinstance(ids, str):
        ids = [one.strip(' "') for one in ids.strip("[]").split(",")]
    name = given.get("name")
    if not ids and not name:
        raise bad_parameter("The parameter name is required.")
    wanted = {str(one) for one in ids}
    state = emulator.world.state
    found = [
        one
        for one in state.templates.values()
        if one.waba_id == call.object_id
        and one.status != "DELETED"
        and (one.id in wanted if wanted else one.name == name)
    ]
    if not found:
        raise user_error(2593002, "Message template not found", "There is no such template in this account.")
    for template in found:
        if template.status == "APPROVED":
            state.banned_names[f"{template.waba_id}/{template.name}"] = now() + BANNED_FOR_S
        template.status = "DELETED"
        tell(emulator, template, "DELETED")
    emulator.save()
    return {"success": True}


async def unpause_template(emulator: Emulator, call: Call) -> dict[str, bool]:
    template = emulator.world.state.templates[call.object_id]
    if template.status != "PAUSED":
        raise unknown_object("post", template.id)
    template.status = "APPROVED"
    emulator.save()
    tell(emulator, template, "APPROVED")
    return {"success": True}
