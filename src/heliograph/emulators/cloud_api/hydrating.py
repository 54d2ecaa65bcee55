"""Templates in a send: does it exist, do the parameters fit, what will the person read (whatsapp-cloud-api.md §3.2, §9)."""

import re
from typing import Any

from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter, refuse
from heliograph.emulators.cloud_api.world import State, Template

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
FORBIDDEN = re.compile(r"[\n\r\t]| {5,}")
LONGEST_BODY = 1024
FORBIDDEN_SENTENCE = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
MEDIA_FORMATS = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document"}


def find_template(state: State, waba_id: str, name: str, language: str) -> Template:
    """The one that can be sent. Raises GraphError: 132001 unknown or not approved, 132015 paused, 132016 disabled."""
    found = next(
        (
            one
            for one in state.templates.values()
            if one.waba_id == waba_id and one.name == name and one.language == language and one.status != "DELETED"
        ),
        None,
    )
    if found is None:
        raise refuse(132001, f"template name ({name}) does not exist in {language}")
    if found.status == "PAUSED":
        raise refuse(132015, f"template name ({name}) is paused")
    if found.status == "DISABLED":
        raise refuse(132016, f"template name ({name}) is disabled")
    if found.status != "APPROVED":
        raise refuse(132001, f"template name ({name}) is not approved in {language}")
    return found


def read_template(value: Any, state: State, waba_id: str) -> tuple[Template, str]:
    """The template that a send names, and its text with the parameters filled in. Raises GraphError."""
    if not isinstance(value, dict):
        raise refuse(131008, "Parameter 'template' is missing.")
    name, language = value.get("name"), value.get("language")
    if not isinstance(name, str) or not name:
        raise bad_parameter("The parameter template['name'] is required.")
    code = language.get("code") if isinstance(language, dict) else None
    if not isinstance(code, str) or not code:
        raise bad_parameter("The parameter template['language']['code'] is required.")
    policy = language.get("policy", "deterministic") if isinstance(language, dict) else ""
    if policy != "deterministic":
        raise bad_parameter(
            f"Param template['language']['policy'] must be one of {{DETERMINISTIC}} - got \"{policy}\"."
        )
    found = find_template(state, waba_id, name, code)
    components = value.get("components")
    if components is not None and not (isinstance(components, list) and all(isinstance(c, dict) for c in components)):
        raise bad_parameter("Param template['components'] must be a JSON array of objects.")
    given = components or []
    for component in given:
        if str(component.get("type", "")).lower() not in {"header", "body", "button", "footer", "carousel"}:
            raise bad_parameter("Param template['components'][…]['type'] must be one of {HEADER, BODY, BUTTON}.")
    text = fill_body(found, given)
    check_header(found, given)
    check_buttons(found, given)
    return found, text


def parameters_of(given: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    for component in given:
        if str(component.get("type", "")).lower() == kind:
            parameters = component.get("parameters") or []
            if not isinstance(parameters, list) or not all(isinstance(one, dict) for one in parameters):
                raise bad_parameter(f"Param template['components'][{kind}]['parameters'] must be a JSON array.")
            return parameters
    return []


def component_of(template: Template, kind: str) -> dict[str, Any]:
    return next((one for one in template.components if str(one.get("type", "")).upper() == kind), {})


def variables_of(text: str) -> list[str]:
    """The variables of a text, each once, in order of their first place."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def count_mismatch(where: str, given: int, expected: int) -> GraphError:
    return refuse(
        132000,
        f"{where}: number of localizable_params ({given}) does not match the expected number of params ({expected})",
    )


def fill_body(template: Template, given: list[dict[str, Any]]) -> str:
    text = str(component_of(template, "BODY").get("text", ""))
    values = read_values(template, "body", text, parameters_of(given, "body"))
    filled = VARIABLE.sub(lambda match: values[match[1]], text)
    if len(filled) > LONGEST_BODY:
        raise refuse(132005, f"body: the text is {len(filled)} characters long; at most {LONGEST_BODY} are allowed")
    return filled


def read_values(template: Template, where: str, text: str, parameters: list[dict[str, Any]]) -> dict[str, str]:
    """Each variable's value. Raises GraphError."""
    expected = variables_of(text)
    if len(parameters) != len(expected):
        raise count_mismatch(where, len(parameters), len(expected))
    if template.parameter_format == "NAMED":
        names = [one.get("parameter_name") for one in parameters]
        if set(names) != set(expected):
            raise bad_parameter("Invalid parameter: Parameter name is missing or empty")
        return {str(name): read_value(one, where) for name, one in zip(names, parameters, strict=True)}
    in_order = sorted(expected, key=lambda name: int(name) if name.isdecimal() else 0)
    return {name: read_value(one, where) for name, one in zip(in_order, parameters, strict=True)}


def read_value(parameter: dict[str, Any], where: str) -> str:
    """The text of a parameter of type text, currency or date_time. Raises GraphError."""
    kind = parameter.get("type")
    if kind == "text":
        value = parameter.get("text")
    elif kind in {"currency", "date_time"}:
        held = parameter.get(kind)
        value = held.get("fallback_value") if isinstance(held, dict) else None
    else:
        raise refuse(132012, f"{where}: Format mismatch, expected TEXT, received {str(kind).upper()}")
    if not isinstance(value, str) or not value:
        raise refuse(131008, f"{where}: Parameter of type text is missing text value")
    if FORBIDDEN.search(value):
        raise refuse(132018, FORBIDDEN_SENTENCE)
    return value


def check_header(template: Template, given: list[dict[str, Any]]) -> None:
    header, parameters = component_of(template, "HEADER"), parameters_of(given, "header")
    form = str(header.get("format", "")).upper()
    if form in MEDIA_FORMATS or form == "LOCATION":
        if len(parameters) != 1:
            raise count_mismatch("header", len(parameters), 1)
        wanted = MEDIA_FORMATS.get(form, "location")
        if parameters[0].get("type") != wanted:
            received = str(parameters[0].get("type") or "UNKNOWN").upper()
            raise refuse(132012, f"header: Format mismatch, expected {form}, received {received}")
        held = parameters[0].get(wanted)
        if not isinstance(held, dict) or (wanted != "location" and not (held.get("id") or held.get("link"))):
            raise refuse(131008, f"header: Parameter of type {wanted} is missing id or link")
        return
    read_values(template, "header", str(header.get("text", "")) if form == "TEXT" else "", parameters)


def check_buttons(template: Template, given: list[dict[str, Any]]) -> None:
    buttons = component_of(template, "BUTTONS").get("buttons") or []
    parameters: dict[int, list[dict[str, Any]]] = {}
    for component in given:
        if str(component.get("type", "")).lower() != "button":
            continue
        at = str(component.get("index", ""))
        if not at.isdecimal() or int(at) >= len(buttons):
            raise refuse(131009, f"buttons: Button at index {at or '?'} does not exist in the template")
        held = component.get("parameters") or []
        parameters[int(at)] = [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []
    for index, button in enumerate(buttons):
        kind = str(button.get("type", "")).upper()
        needs = (kind == "URL" and VARIABLE.search(str(button.get("url", "")))) or kind in {"OTP", "COPY_CODE"}
        if not needs:
            continue
        name = {"URL": "Url", "OTP": "Otp", "COPY_CODE": "CopyCode"}[kind]
        if not parameters.get(index):
            raise refuse(131008, f"buttons: Button at index {index} of type {name} requires a parameter")
        value = parameters[index][0].get("coupon_code" if kind == "COPY_CODE" else "text")
        if not isinstance(value, str) or not value:
            raise refuse(131008, f"buttons: Button at index {index} of type {name} is missing its text value")
