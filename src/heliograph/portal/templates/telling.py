"""What the carrier's words about a template mean, and what to do about them."""

from babel import Locale

from heliograph.portal.languages import N_

# Status → the word for it, the mark beside it (layout/marks.html), and what to do.
STATUSES = {
    "APPROVED": (N_("Approved"), "read", N_("It can be sent.")),
    "PENDING": (
        N_("In review"),
        "scheduled",
        N_("Meta looks at it: mostly minutes, at most 24 hours. It cannot be sent yet."),
    ),
    "IN_APPEAL": (N_("In appeal"), "scheduled", N_("Meta looks at it again. It cannot be sent yet.")),
    "REJECTED": (N_("Rejected"), "failed", N_("Meta refused it. Correct it and submit it under another name.")),
    "PAUSED": (
        N_("Paused"),
        "expired",
        N_("Too many people blocked or reported it. Meta pauses it for 3 hours, then 6, then disables it."),
    ),
    "DISABLED": (N_("Disabled"), "failed", N_("Meta has stopped it for good. Make another one.")),
    "LIMIT_EXCEEDED": (
        N_("Over the limit"),
        "failed",
        N_("The business account has as many templates as it may have. Delete some."),
    ),
    "LOCKED": (N_("Locked"), "expired", N_("Meta has locked it. See its notice in the WhatsApp Manager.")),
    "PENDING_DELETION": (N_("Being deleted"), "cancelled", N_("Its name is free again after 30 days.")),
    "DELETED": (N_("Deleted"), "cancelled", N_("It cannot be sent any more.")),
    "ARCHIVED": (N_("Archived"), "cancelled", N_("Nobody used it for a year. Bring it back in the WhatsApp Manager.")),
}
UNHEARD_OF = (N_("Unknown"), "unknown", N_("See what the WhatsApp Manager says of it."))
QUALITIES = {
    "GREEN": N_("High"),
    "YELLOW": N_("Medium: some people block or report it"),
    "RED": N_("Low: many people block or report it, Meta may pause it"),
    "UNKNOWN": N_("Not rated yet"),
}
SHORT_QUALITIES = {"GREEN": N_("High"), "YELLOW": N_("Medium"), "RED": N_("Low"), "UNKNOWN": N_("Not rated")}
CATEGORIES = {"UTILITY": N_("Utility"), "MARKETING": N_("Marketing"), "AUTHENTICATION": N_("Authentication")}
REASONS = {
    "ABUSIVE_CONTENT": N_("Meta found abusive content in it."),
    "INCORRECT_CATEGORY": N_("It is not of the category that it was submitted for. Submit it under the right one."),
    "INVALID_FORMAT": N_("Its form is not as Meta wants it: variables, links or special characters."),
    "PROMOTIONAL": N_("It promotes something; submit it as marketing."),
    "SCAM": N_("Meta took it for a scam."),
    "TAG_CONTENT_MISMATCH": N_("Its text does not fit its category or language."),
}
HEADERS = {
    "IMAGE": N_("Picture"),
    "VIDEO": N_("Video"),
    "DOCUMENT": N_("Document"),
    "LOCATION": N_("Location"),
}
# Meta's languages of templates.
LANGUAGES = (
    *(
        "af",
        "sq",
        "ar",
        "az",
        "bn",
        "bg",
        "ca",
        "zh_CN",
        "zh_HK",
        "zh_TW",
        "hr",
        "cs",
        "da",
        "nl",
        "en",
        "en_GB",
        "en_US",
    ),
    *(
        "et",
        "fil",
        "fi",
        "fr",
        "ka",
        "de",
        "el",
        "gu",
        "ha",
        "he",
        "hi",
        "hu",
        "id",
        "ga",
        "it",
        "ja",
        "kn",
        "kk",
        "rw_RW",
    ),
    *(
        "ko",
        "ky_KG",
        "lo",
        "lv",
        "lt",
        "mk",
        "ms",
        "ml",
        "mr",
        "nb",
        "fa",
        "pl",
        "pt_BR",
        "pt_PT",
        "pa",
        "ro",
        "ru",
        "sr",
    ),
    *("sk", "sl", "es", "es_AR", "es_ES", "es_MX", "sw", "sv", "ta", "te", "th", "tr", "uk", "ur", "uz", "vi", "zu"),
)


def describe_status(status: str) -> tuple[str, str, str]:
    return STATUSES.get(status, UNHEARD_OF)


def language_choices(locale: Locale) -> list[tuple[str, str]]:
    """(code, name) of every language that a template may have, by name."""
    return sorted(((code, name_of(code, locale)) for code in LANGUAGES), key=lambda pair: pair[1].casefold())


def name_of(code: str, locale: Locale) -> str:
    """`nl` → Dutch, in the reader's language; the code itself where nobody has a name for it."""
    try:
        shown = Locale.parse(code).get_display_name(locale)
    except (ValueError, LookupError):
        shown = None
    return f"{shown[:1].upper()}{shown[1:]} ({code})" if shown else code
