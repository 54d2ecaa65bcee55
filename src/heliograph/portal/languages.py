"""Languages of the portal: texts from gettext catalogues in locale/, chosen by cookie or by what the browser asks for.

Source texts are English and stand in the code: `_("…")` in templates, `visit.gettext("…")` in views, `N_("…")` for a
constant that is translated where it is shown."""

import io
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "locale"
SOURCE = "en"
COOKIE = "language"


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Marks a constant for translation; it is translated where it is shown."""
    return text


def read_catalogue(path: Path) -> NullTranslations:
    """A catalogue compiled in memory from its .po file: the file that people edit is the one in use."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


class Languages:
    """Every language that has a catalogue, and English. Built once per process."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._catalogues: dict[str, NullTranslations] = {SOURCE: NullTranslations()}
        for path in sorted(folder.glob("*.po")):
            self._catalogues[path.stem] = read_catalogue(path)
        self.codes = tuple(self._catalogues)
        self.names = {code: str(Locale.parse(code).display_name).capitalize() for code in self.codes}

    def translations(self, code: str) -> NullTranslations:
        return self._catalogues[code]

    def choose(self, cookie: str, accept_language: str) -> str:
        """The language of the cookie if we have it, else the first that the browser asks for, else English."""
        if cookie in self._catalogues:
            return cookie
        asked: list[tuple[float, str]] = []
        for part in accept_language.split(",")[:20]:
            tag, _, quality = part.strip().partition(";q=")
            try:
                asked.append((float(quality or 1), tag.split("-")[0].lower()))
            except ValueError:
                continue
        for weight, code in sorted(asked, key=lambda pair: -pair[0]):
            if weight > 0 and code in self._catalogues:
                return code
        return SOURCE
