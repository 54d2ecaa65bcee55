"""Templates: what one says with its variables filled in, the object that sends it, and Meta's rules for a new one (§9)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from heliograph.channels.whatsapp.payloads import BLANKS, TEMPLATE_NAME
from heliograph.channels.whatsapp.values import mapping, objects, text
from heliograph.errors import Invalid

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")
LONGEST_NAME, LONGEST_HEADER, LONGEST_BODY, LONGEST_FOOTER, LONGEST_LABEL = 512, 60, 1024, 60, 25
LONGEST_URL, LONGEST_PHONE, LONGEST_CODE = 2000, 20, 15
MOST_BUTTONS, MOST_URLS, MOST_PHONES = 10, 2, 1
MEDIA_HEADERS = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document"}
BUTTON_KINDS = ("QUICK_REPLY", "URL", "PHONE_NUMBER")


class Slot(Struct, frozen=True):
    """Something that a send must fill in. `key`: `header.1`, `body.first_name`, `button.0`, or `header.link` for a file.

    `where`: header, body, button or file; `name`: the variable, or the button's label; `example`: Meta was shown this."""

    key: str
    where: str
    name: str
    example: str


class Shown(Struct, frozen=True):
    """A template as the phone shows it. `header_format`: TEXT, IMAGE … or "" for none. Buttons: (kind, label)."""

    header_format: str
    header: str
    body: str
    footer: str
    buttons: list[tuple[str, str]]


class NewButton(Struct, frozen=True):
    """`target`: the address or number that the button leads to; `example`: of the address's variable."""

    kind: str
    label: str
    target: str = ""
    example: str = ""


class NewTemplate(Struct, frozen=True, kw_only=True):
    """A template to be submitted, as it was typed. Samples: by the variable's number, as text."""

    name: str
    language: str
    category: str
    header: str = ""
    header_sample: str = ""
    body: str = ""
    samples: Mapping[str, str] = {}
    footer: str = ""
    buttons: Sequence[NewButton] = ()


def variables_of(shown: str) -> list[str]:
    """The variables of a text, each once, numbers in their order, names in the order of their first place."""
    found = list(dict.fromkeys(VARIABLE.findall(shown)))
    return sorted(found, key=int) if all(name.isdecimal() for name in found) else found


def component_of(components: object, kind: str) -> dict[str, Any]:
    return next((one for one in objects(components) if (text(one.get("type")) or "").upper() == kind), {})


def format_of(header: Mapping[str, Any]) -> str:
    return (text(header.get("format")) or ("TEXT" if text(header.get("text")) else "")).upper()


def buttons_of(components: object) -> list[dict[str, Any]]:
    return objects(component_of(components, "BUTTONS").get("buttons"))


# What a template says


def slots_of(components: object) -> list[Slot]:
    """Everything that a send of it has to fill in, in the order in which one reads it."""
    header, body = component_of(components, "HEADER"), component_of(components, "BODY")
    form, slots = format_of(header), list[Slot]()
    if form in MEDIA_HEADERS:
        slots.append(Slot("header.link", "file", form.lower(), ""))
    elif form == "TEXT":
        examples = header_examples(header)
        slots += [Slot(f"header.{v}", "header", v, examples.get(v, "")) for v in variables_of(text_of(header))]
    examples = body_examples(body)
    slots += [Slot(f"body.{v}", "body", v, examples.get(v, "")) for v in variables_of(text_of(body))]
    for index, button in enumerate(buttons_of(components)):
        if wants_value(button):
            slots.append(Slot(f"button.{index}", "button", text(button.get("text")) or "", button_example(button)))
    return slots


def wants_value(button: Mapping[str, Any]) -> bool:
    kind = (text(button.get("type")) or "").upper()
    return kind in {"OTP", "COPY_CODE"} or (kind == "URL" and bool(VARIABLE.search(text(button.get("url")) or "")))


def text_of(component: Mapping[str, Any]) -> str:
    return text(component.get("text")) or ""


def header_examples(header: Mapping[str, Any]) -> dict[str, str]:
    example = mapping(header.get("example"))
    told = example.get("header_text")
    named = {
        text(one.get("param_name")) or "": text(one.get("example")) or ""
        for one in objects(example.get("header_text_named_params"))
    }
    return named or numbered(told)


def body_examples(body: Mapping[str, Any]) -> dict[str, str]:
    example = mapping(body.get("example"))
    rows = example.get("body_text")
    named = {
        text(one.get("param_name")) or "": text(one.get("example")) or ""
        for one in objects(example.get("body_text_named_params"))
    }
    return named or numbered(rows[0] if isinstance(rows, list) and rows else None)


def numbered(values: object) -> dict[str, str]:
    return {str(n): text(one) or "" for n, one in enumerate(values, 1)} if isinstance(values, list) else {}


def button_example(button: Mapping[str, Any]) -> str:
    """What stands for the variable: Meta keeps an address's example whole."""
    example = button.get("example")
    shown = text(example[0]) if isinstance(example, list) and example else text(example)
    if shown is None:
        return ""
    before = VARIABLE.split(text(button.get("url")) or "", maxsplit=1)[0]
    return shown.removeprefix(before) if before else shown


def show(components: object, values: Mapping[str, str] | None = None) -> Shown:
    """A template with `values` by the keys of its slots; where there is none, with its example, else as {{1}}."""
    given = {slot.key: (values or {}).get(slot.key) or slot.example for slot in slots_of(components)}

    def fill(where: str, shown: str) -> str:
        return VARIABLE.sub(lambda found: given.get(f"{where}.{found[1]}") or found[0], shown)

    header = component_of(components, "HEADER")
    return Shown(
        header_format=format_of(header),
        header=fill("header", text_of(header)),
        body=fill("body", text_of(component_of(components, "BODY"))),
        footer=text_of(component_of(components, "FOOTER")),
        buttons=[
            ((text(one.get("type")) or "").upper(), text(one.get("text")) or "") for one in buttons_of(components)
        ],
    )


# The object that sends it


def template_object(
    name: str, language: str, form: str, components: object, values: Mapping[str, str]
) -> dict[str, Any]:
    """What a send carries. `form`: POSITIONAL or NAMED. Raises Invalid for values that are missing, by the slot's key."""
    slots = slots_of(components)
    filled = {slot.key: BLANKS.sub(" ", values.get(slot.key, "")).strip() for slot in slots}
    missing = {slot.key: ["Fill this in: the template needs it."] for slot in slots if not filled[slot.key]}
    if missing:
        raise Invalid(missing)
    made: list[dict[str, Any]] = []
    header = component_of(components, "HEADER")
    medium = MEDIA_HEADERS.get(format_of(header))
    if medium is not None:
        made.append({"type": "header", "parameters": [{"type": medium, medium: {"link": filled["header.link"]}}]})
    for where in ("header", "body"):
        parameters = [
            {"type": "text", **({"parameter_name": slot.name} if form == "NAMED" else {}), "text": filled[slot.key]}
            for slot in slots
            if slot.where == where
        ]
        if parameters:
            made.append({"type": where, "parameters": parameters})
    for index, button in enumerate(buttons_of(components)):
        if not wants_value(button):
            continue
        code = (text(button.get("type")) or "").upper() == "COPY_CODE"
        value = filled[f"button.{index}"]
        parameter = {"type": "coupon_code", "coupon_code": value} if code else {"type": "text", "text": value}
        kind = "copy_code" if code else "url"
        made.append({"type": "button", "sub_type": kind, "index": str(index), "parameters": [parameter]})
    found: dict[str, Any] = {"name": name, "language": {"code": language}}
    return {**found, "components": made} if made else found


def values_of(template: Mapping[str, Any]) -> dict[str, str]:
    """The values that a sent template object carries, by the keys of the slots that they fill."""
    found: dict[str, str] = {}
    for component in objects(template.get("components")):
        where = (text(component.get("type")) or "").lower()
        parameters = objects(component.get("parameters"))
        for number, parameter in enumerate(parameters, 1):
            value = text(parameter.get("text")) or text(parameter.get("coupon_code")) or ""
            if where == "button":
                found[f"button.{text(component.get('index')) or '0'}"] = value
            else:
                found[f"{where}.{text(parameter.get('parameter_name')) or number}"] = value
    return found


# A new template


def check_new_template(new: NewTemplate) -> None:
    """What Meta would refuse anyway. Raises Invalid with every field at fault: name, category, header, header_sample,
    body, sample_1 …, footer, button_1 …"""
    errors: dict[str, list[str]] = {}
    if not TEMPLATE_NAME.fullmatch(new.name) or len(new.name) > LONGEST_NAME:
        errors["name"] = ["A template's name has lower-case letters, digits and _ only, such as order_ready."]
    if new.category not in CATEGORIES:
        errors["category"] = ["Choose what the template is for."]
    if not re.fullmatch(r"[a-z]{2,3}(?:_[A-Z]{2,3})?", new.language):
        errors["language"] = ["Choose a language."]
    if new.category != "AUTHENTICATION":
        check_header(new, errors)
        check_body(new, errors)
        check_footer(new, errors)
        check_buttons(new, errors)
    if errors:
        raise Invalid(errors)


def check_header(new: NewTemplate, errors: dict[str, list[str]]) -> None:
    found = variables_of(new.header)
    if len(new.header) > LONGEST_HEADER:
        errors["header"] = [f"A header has at most {LONGEST_HEADER} characters; this one has {len(new.header)}."]
    elif "\n" in new.header:
        errors["header"] = ["A header is one line."]
    elif found not in ([], ["1"]):
        errors["header"] = ["A header has one variable at most, and it is {{1}}."]
    elif found and not new.header_sample:
        errors["header_sample"] = ["Meta wants to see an example of the header's variable."]


def check_body(new: NewTemplate, errors: dict[str, list[str]]) -> None:
    body = new.body.strip()
    found = variables_of(body)
    matches = list(VARIABLE.finditer(body))
    words = len(VARIABLE.sub(" ", body).split())
    if not body:
        errors["body"] = ["Write what the template says."]
    elif len(body) > LONGEST_BODY:
        errors["body"] = [f"A body has at most {LONGEST_BODY} characters; this one has {len(body)}."]
    elif re.search(r"\n{3,}", body):
        errors["body"] = ["A body has at most one empty line in a row."]
    elif found != [str(number) for number in range(1, len(found) + 1)]:
        errors["body"] = ["Variables are {{1}}, {{2}} and so on, without a gap."]
    elif matches and (matches[0].start() == 0 or matches[-1].end() == len(body)):
        errors["body"] = ["A variable cannot stand at the start or the end: put words around it."]
    elif len(matches) + 1 > words:
        errors["body"] = ["The text is too short for so many variables: use fewer, or more words."]
    for number in [] if "body" in errors else found:
        if not new.samples.get(number):
            errors[f"sample_{number}"] = [f"Meta wants to see an example of {{{{{number}}}}}."]


def check_footer(new: NewTemplate, errors: dict[str, list[str]]) -> None:
    if len(new.footer) > LONGEST_FOOTER:
        errors["footer"] = [f"A footer has at most {LONGEST_FOOTER} characters; this one has {len(new.footer)}."]
    elif variables_of(new.footer):
        errors["footer"] = ["A footer has no variables."]
    elif "\n" in new.footer:
        errors["footer"] = ["A footer is one line."]


def check_buttons(new: NewTemplate, errors: dict[str, list[str]]) -> None:
    labels: set[str] = set()
    for number, button in enumerate(new.buttons, 1):
        wrong = what_is_wrong(button)
        if wrong is None and button.label.casefold() in labels:
            wrong = "Two buttons cannot have the same label."
        labels.add(button.label.casefold())
        if wrong is not None:
            errors[f"button_{number}"] = [wrong]
    kinds = [button.kind for button in new.buttons]
    for kind, most, sentence in (
        ("URL", MOST_URLS, f"A template has at most {MOST_URLS} buttons that open an address."),
        ("PHONE_NUMBER", MOST_PHONES, "A template has one button that calls a number at most."),
    ):
        if kinds.count(kind) > most:
            last = len(kinds) - kinds[::-1].index(kind)
            errors.setdefault(f"button_{last}", [sentence])
    if len(kinds) > MOST_BUTTONS:
        errors.setdefault("button_1", [f"A template has at most {MOST_BUTTONS} buttons."])


def what_is_wrong(button: NewButton) -> str | None:
    if button.kind not in BUTTON_KINDS:
        return "Choose what the button does."
    if not button.label or len(button.label) > LONGEST_LABEL or VARIABLE.search(button.label):
        return f"A button's label has 1 to {LONGEST_LABEL} characters and no variable."
    if button.kind == "PHONE_NUMBER" and not re.fullmatch(r"\+?[0-9]{7,19}", button.target):
        return "Give the number with its country code, such as +31612345678."
    if button.kind == "URL":
        if not re.fullmatch(r"https?://[^\s/]+\S*", button.target) or len(button.target) > LONGEST_URL:
            return "Give an address that begins with https://."
        found = list(VARIABLE.finditer(button.target))
        if found and (len(found) > 1 or found[0][1] != "1" or found[0].end() != len(button.target)):
            return "An address has one variable at most, {{1}}, at its end."
        if found and not button.example:
            return "Meta wants to see an example of the address's variable."
    return None


def new_template_object(new: NewTemplate) -> dict[str, Any]:
    """What is submitted. The words of an authentication template are Meta's own."""
    return {
        "name": new.name,
        "language": new.language,
        "category": new.category,
        "components": authentication_components() if new.category == "AUTHENTICATION" else components_for(new),
    }


def components_for(new: NewTemplate) -> list[dict[str, Any]]:
    """Also of a template that is not whole yet, to show what it will look like."""
    made: list[dict[str, Any]] = []
    if new.header:
        header: dict[str, Any] = {"type": "HEADER", "format": "TEXT", "text": new.header}
        if variables_of(new.header):
            header["example"] = {"header_text": [new.header_sample]}
        made.append(header)
    body: dict[str, Any] = {"type": "BODY", "text": new.body.strip()}
    if found := variables_of(new.body):
        body["example"] = {"body_text": [[new.samples.get(number, "") for number in found]]}
    made.append(body)
    if new.footer:
        made.append({"type": "FOOTER", "text": new.footer})
    if new.buttons:
        made.append({"type": "BUTTONS", "buttons": [button_object(button) for button in new.buttons]})
    return made


def button_object(button: NewButton) -> dict[str, Any]:
    made: dict[str, Any] = {"type": button.kind, "text": button.label}
    if button.kind == "URL":
        made["url"] = button.target
        if VARIABLE.search(button.target):
            made["example"] = [VARIABLE.sub(lambda _: button.example, button.target)]
    elif button.kind == "PHONE_NUMBER":
        made["phone_number"] = f"+{button.target.removeprefix('+')}"
    return made


def authentication_components() -> list[dict[str, Any]]:
    return [
        {"type": "BODY", "add_security_recommendation": True},
        {"type": "FOOTER", "code_expiration_minutes": 10},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy code"}]},
    ]
