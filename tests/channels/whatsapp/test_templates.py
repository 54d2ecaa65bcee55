"""Templates: their variables, what a send of one carries, and Meta's rules before a new one is submitted."""

from typing import Any

import pytest
from msgspec import structs

from heliograph.channels.whatsapp.templates import (
    NewButton,
    NewTemplate,
    Shown,
    Slot,
    check_new_template,
    components_for,
    new_template_object,
    show,
    slots_of,
    template_object,
    values_of,
    variables_of,
)
from heliograph.emulators.cloud_api.templates import check_components
from heliograph.errors import Invalid

ORDER = [
    {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["https://img.example/parcel.jpg"]}},
    {
        "type": "BODY",
        "text": "Hello {{1}}, order {{ 2 }} is ready for you.",
        "example": {"body_text": [["Ada", "A-17"]]},
    },
    {"type": "FOOTER", "text": "The shop"},
    {
        "type": "BUTTONS",
        "buttons": [
            {"type": "QUICK_REPLY", "text": "Thanks"},
            {
                "type": "URL",
                "text": "Track it",
                "url": "https://shop.example/{{1}}",
                "example": ["https://shop.example/A-17"],
            },
            {"type": "COPY_CODE", "text": "Copy", "example": "SPRING"},
        ],
    },
]
NAMED = [
    {
        "type": "header",
        "format": "text",
        "text": "For {{who}}!",
        "example": {"header_text_named_params": [{"param_name": "who", "example": "Ada"}]},
    },
    {
        "type": "body",
        "text": "At {{time}} with {{who}}.",
        "example": {"body_text_named_params": [{"param_name": "time", "example": "10:30"}]},
    },
]
NEW = NewTemplate(
    name="order_ready",
    language="en_US",
    category="UTILITY",
    header="News for {{1}}!",
    header_sample="Ada",
    body="Hello {{1}}, your order {{2}} is ready.",
    samples={"1": "Ada", "2": "A-17"},
    footer="The shop",
    buttons=[
        NewButton("QUICK_REPLY", "Thanks"),
        NewButton("URL", "Track it", "https://shop.example/{{1}}", "A-17"),
        NewButton("PHONE_NUMBER", "Call us", "31612345678"),
    ],
)


def test_slots() -> None:
    """Everything that a send must fill in, in reading order, with what Meta was shown."""
    assert slots_of(ORDER) == [
        Slot("header.link", "file", "image", ""),
        Slot("body.1", "body", "1", "Ada"),
        Slot("body.2", "body", "2", "A-17"),
        Slot("button.1", "button", "Track it", "A-17"),
        Slot("button.2", "button", "Copy", "SPRING"),
    ]
    assert [(slot.key, slot.example) for slot in slots_of(NAMED)] == [
        ("header.who", "Ada"),
        ("body.time", "10:30"),
        ("body.who", ""),
    ]
    assert variables_of("{{2}} {{10}} {{1}} {{2}}") == ["1", "2", "10"]


@pytest.mark.parametrize("odd", [None, [], {}, [None], [{"type": 5}], [{"type": "BODY", "text": 5, "example": 5}]])
def test_components_of_odd_shapes(odd: Any) -> None:
    """What the carrier describes strangely is shown as far as it can be read."""
    assert isinstance(show(odd).body, str)
    assert slots_of(odd) == []


def test_show() -> None:
    """Given values, else examples, else the variable itself."""
    shown = show(ORDER, {"body.1": "Bo"})
    buttons = [("QUICK_REPLY", "Thanks"), ("URL", "Track it"), ("COPY_CODE", "Copy")]
    assert shown == Shown("IMAGE", "", "Hello Bo, order A-17 is ready for you.", "The shop", buttons)
    assert show(NAMED).body == "At 10:30 with {{who}}."
    assert show(NAMED).header == "For Ada!"


def test_template_object() -> None:
    """A send carries every value in its place, on one line; what is missing is named."""
    values = {
        "header.link": "https://img.example/1.jpg",
        "body.1": "Ada\n\tLovelace",
        "body.2": "A-18",
        "button.1": "A-18",
        "button.2": "S2",
    }
    made = template_object("order_ready", "en_US", "POSITIONAL", ORDER, values)
    assert made == {
        "name": "order_ready",
        "language": {"code": "en_US"},
        "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://img.example/1.jpg"}}]},
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "Ada Lovelace"}, {"type": "text", "text": "A-18"}],
            },
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-18"}]},
            {
                "type": "button",
                "sub_type": "copy_code",
                "index": "2",
                "parameters": [{"type": "coupon_code", "coupon_code": "S2"}],
            },
        ],
    }
    assert values_of(made) == {
        "header.1": "",
        "body.1": "Ada Lovelace",
        "body.2": "A-18",
        "button.1": "A-18",
        "button.2": "S2",
    }
    named = template_object("n", "nl", "NAMED", NAMED, {"header.who": "A", "body.time": "9", "body.who": "B"})
    assert named["components"][1]["parameters"][0] == {"type": "text", "parameter_name": "time", "text": "9"}
    assert values_of(named) == {"header.who": "A", "body.time": "9", "body.who": "B"}
    assert template_object("hello", "en_US", "POSITIONAL", [], {}) == {"name": "hello", "language": {"code": "en_US"}}
    with pytest.raises(Invalid) as caught:
        template_object("order_ready", "en_US", "POSITIONAL", ORDER, {**values, "body.2": " "})
    assert set(caught.value.errors) == {"body.2"}


def test_a_new_template_passes_the_carrier() -> None:
    """What passes our rules is what the emulated Meta takes."""
    check_new_template(NEW)
    made = new_template_object(NEW)
    check_components(made["components"], "POSITIONAL")
    assert show(made["components"]).body == "Hello Ada, your order A-17 is ready."
    code = structs.replace(NEW, category="AUTHENTICATION", body="", header="")
    check_new_template(code)
    check_components(new_template_object(code)["components"], "POSITIONAL")
    assert components_for(NewTemplate(name="", language="", category="")) == [{"type": "BODY", "text": ""}]


def url(target: str, example: str = "") -> NewButton:
    return NewButton("URL", "Open", target, example)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": "Order ready"}),
        ("name", {"name": "x" * 513}),
        ("language", {"language": "English"}),
        ("category", {"category": "FUN"}),
        ("header", {"header": "x" * 61}),
        ("header", {"header": "Two {{1}} of {{2}}"}),
        ("header", {"header": "Two\nlines"}),
        ("header_sample", {"header_sample": ""}),
        ("body", {"body": " "}),
        ("body", {"body": "x" * 1025}),
        ("body", {"body": "{{1}}, it is ready for you."}),
        ("body", {"body": "It is ready for you, {{1}}"}),
        ("body", {"body": "Of {{1}} and {{3}} we know more."}),
        ("body", {"body": "To {{1}} {{2}} {{1}} go"}),
        ("body", {"body": "One\n\n\n\ntwo"}),
        ("sample_2", {"samples": {"1": "Ada"}}),
        ("footer", {"footer": "x" * 61}),
        ("footer", {"footer": "For {{1}} only"}),
        ("footer", {"footer": "Two\nlines"}),
        ("button_1", {"buttons": [NewButton("QUICK_REPLY", "")]}),
        ("button_1", {"buttons": [NewButton("QUICK_REPLY", "x" * 26)]}),
        ("button_1", {"buttons": [NewButton("DANCE", "Dance")]}),
        ("button_2", {"buttons": [NewButton("QUICK_REPLY", "Yes"), NewButton("QUICK_REPLY", "yes")]}),
        ("button_1", {"buttons": [NewButton("PHONE_NUMBER", "Call", "call me")]}),
        ("button_1", {"buttons": [url("shop.example")]}),
        ("button_1", {"buttons": [url("https://shop.example/{{1}}/x", "1")]}),
        ("button_1", {"buttons": [url("https://shop.example/{{1}}")]}),
        ("button_3", {"buttons": [structs.replace(url("https://a.example"), label=f"Open {n}") for n in range(3)]}),
        ("button_2", {"buttons": [NewButton("PHONE_NUMBER", f"Call {n}", "31612345678") for n in range(2)]}),
        ("button_1", {"buttons": [NewButton("QUICK_REPLY", f"Say {n}") for n in range(11)]}),
    ],
)
def test_rules_of_a_new_template(field: str, changes: dict[str, Any]) -> None:
    """What Meta would refuse is refused here, at its field."""
    with pytest.raises(Invalid) as caught:
        check_new_template(structs.replace(NEW, **changes))
    assert set(caught.value.errors) == {field}
