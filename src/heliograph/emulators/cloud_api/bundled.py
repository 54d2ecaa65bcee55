"""The templates that exist from the start, in every account: one of each kind that a sender meets."""

from typing import Any

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.names import make_object_id
from heliograph.emulators.cloud_api.world import State, Template


def body(text: str, *examples: str) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "BODY", "text": text}
    if examples:
        component["example"] = {"body_text": [list(examples)]}
    return component


def named_body(text: str, **examples: str) -> dict[str, Any]:
    given = [{"param_name": name, "example": example} for name, example in examples.items()]
    return {"type": "BODY", "text": text, "example": {"body_text_named_params": given}}


def template(
    last: int, name: str, language: str, category: str, components: list[dict[str, Any]], **facts: Any
) -> Template:
    return Template(
        id=f"5000000000000{last:02d}",
        waba_id=defaults.WABA_ID,
        name=name,
        language=language,
        category=category,
        components=components,
        status=facts.pop("status", "APPROVED"),
        **facts,
    )


def bundled_templates() -> list[Template]:
    quick_replies = [{"type": "QUICK_REPLY", "text": "Tell me more"}, {"type": "QUICK_REPLY", "text": "Stop"}]
    track = {
        "type": "URL",
        "text": "Track it",
        "url": "https://shop.example/orders/{{1}}",
        "example": ["https://shop.example/orders/A-17"],
    }
    one_time = {
        "type": "URL",
        "text": "Copy code",
        "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}",
        "example": ["https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp123456"],
    }
    return [
        template(
            1,
            defaults.TEMPLATE_ONE_VARIABLE,
            "en_US",
            "UTILITY",
            [body("You have a new message: {{1}} Reply here to continue.", "Your order is packed.")],
        ),
        template(
            2,
            defaults.TEMPLATE_SEVERAL_VARIABLES,
            "en_US",
            "UTILITY",
            [
                {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["https://img.example/parcel.jpg"]}},
                body("Hello {{1}}, order {{2}} is ready for you.", "Ada", "A-17"),
                {"type": "FOOTER", "text": "The emulated shop"},
                {"type": "BUTTONS", "buttons": [track]},
            ],
        ),
        template(
            3,
            defaults.TEMPLATE_NO_VARIABLES,
            "en_US",
            "UTILITY",
            [
                {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
                body("This template has no variables, so that a first message can be sent without any."),
                {"type": "FOOTER", "text": "WhatsApp Business Platform sample"},
            ],
        ),
        template(
            4,
            defaults.TEMPLATE_AUTHENTICATION,
            "en_US",
            "AUTHENTICATION",
            [
                body("*{{1}}* is your verification code. For your security, do not share this code.", "123456"),
                {"type": "FOOTER", "text": "This code expires in 5 minutes."},
                {"type": "BUTTONS", "buttons": [one_time]},
            ],
        ),
        template(
            5,
            defaults.TEMPLATE_NAMED,
            "en_US",
            "UTILITY",
            [
                named_body(
                    "Hello {{first_name}}, we expect you at {{time}}. Until then!", first_name="Ada", time="10:30"
                )
            ],
            parameter_format="NAMED",
        ),
        template(
            6,
            defaults.TEMPLATE_NAMED,
            "nl",
            "UTILITY",
            [named_body("Hallo {{first_name}}, we verwachten u om {{time}}. Tot dan!", first_name="Ada", time="10:30")],
            parameter_format="NAMED",
        ),
        template(
            7,
            defaults.TEMPLATE_MARKETING,
            "en_US",
            "MARKETING",
            [
                body("Spring is here, {{1}}: everything is cheaper this week.", "Ada"),
                {"type": "BUTTONS", "buttons": quick_replies},
            ],
        ),
        template(
            8, defaults.TEMPLATE_PAUSED, "en_US", "MARKETING", [body("An offer that was paused.")], status="PAUSED"
        ),
        template(
            9,
            defaults.TEMPLATE_DISABLED,
            "en_US",
            "MARKETING",
            [body("An offer that was disabled.")],
            status="DISABLED",
        ),
        template(
            10, defaults.TEMPLATE_PENDING, "en_US", "UTILITY", [body("A notice still in review.")], status="PENDING"
        ),
    ]


def add_bundled_templates(state: State, waba_id: str) -> None:
    """Give them to an account; a second time changes nothing."""
    if any(one.waba_id == waba_id for one in state.templates.values()):
        return
    for one in bundled_templates():
        if waba_id != defaults.WABA_ID:
            one.id, one.waba_id = make_object_id(), waba_id
        state.templates[one.id] = one
