"""The catalogues of the portal: whole, with every placeholder, and shown to whoever asks for the language."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.pofile import read_po
from tests.portal.conftest import Browser

from heliograph.portal.languages import FOLDER

ROOT = Path(__file__).parent.parent.parent
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\{\d\}\}|</?\w+>|%%")
CATALOGUES = sorted(FOLDER.glob("*.po"))


def load_tool() -> ModuleType:
    """tools/update-texts as a module: what it extracts is what must be translated."""
    loader = importlib.machinery.SourceFileLoader("update_texts", str(ROOT / "tools" / "update-texts"))
    spec = importlib.util.spec_from_loader("update_texts", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def as_tuple(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, (tuple, list)) else (str(text or ""),)


def test_there_are_catalogues() -> None:
    """At least one language besides English, so that the tests below say something."""
    assert "fr" in {path.stem for path in CATALOGUES}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_every_text_is_translated(path: Path) -> None:
    """Each text of the code has a translation, and no catalogue keeps one that is gone. Mend: tools/update-texts."""
    wanted = {as_tuple(message.id) for message in load_tool().extract() if message.id}
    with path.open("rb") as file:
        found = {as_tuple(m.id): as_tuple(m.string) for m in read_po(file, locale=path.stem) if m.id}
    assert len(wanted) > 500
    assert sorted(wanted - set(found)) == []
    assert sorted(set(found) - wanted) == []
    assert [key for key, texts in found.items() if not all(texts)] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_placeholders_are_kept(path: Path) -> None:
    """A translation names the same values and marks as its source: nothing is missing from a sentence."""
    with path.open("rb") as file:
        for message in read_po(file, locale=path.stem):
            sources = as_tuple(message.id)
            for place, text in enumerate(as_tuple(message.string)):
                source = sources[min(place, len(sources) - 1)]
                assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(source)), source


async def test_a_french_browser(browser: Browser) -> None:
    """A browser that asks for French gets French, with the page's language told."""
    page = await browser.get("/login", headers={"Accept-Language": "fr-CH, fr;q=0.9, en;q=0.5"})
    assert 'lang="fr"' in page.text
    assert "Se connecter" in page.text
