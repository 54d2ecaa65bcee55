"""WhatsApp's own marks in a text (*bold*, _italic_, ~struck~, ```fixed```), shown as the phone shows them."""

import re

from markupsafe import Markup, escape

FIXED = re.compile(r"```(.+?)```", re.DOTALL)
# A mark counts where it hugs its text and stands at a word's edge, as on the phone.
MARKS = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), "b"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), "i"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), "s"),
)


def render_whatsapp_text(text: str) -> Markup:
    """HTML of a message: paragraphs, line breaks, and the marks."""
    parts = []
    for number, part in enumerate(FIXED.split(text)):
        shown = str(escape(part))
        if number % 2:
            parts.append(f"<code>{shown}</code>")
            continue
        for pattern, tag in MARKS:
            shown = pattern.sub(rf"<{tag}>\1</{tag}>", shown)
        parts.append(shown)
    lines = "".join(parts).split("\n")
    return Markup("<p>" + "<br>".join(lines) + "</p>")  # noqa: S704 - every part was escaped above
