"""A real browser: Debian's Chromium, driven by Playwright. What a page asks of another server, or complains of, fails the test."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.asynccontextmanager
async def open_chromium(base_url: str, **options: Any) -> AsyncIterator[BrowserContext]:
    """A fresh profile at `base_url`; `options` as for Playwright's new_context (viewport, color_scheme, java_script_enabled …)."""
    assert CHROMIUM, "Chromium is missing: install your system's package `chromium` (make test does, where it is root)"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            context = await browser.new_context(base_url=base_url, locale="en-GB", **options)
            context.set_default_timeout(10_000)
            yield context
        finally:
            await browser.close()


def watch_page(page: Page, base_url: str) -> list[str]:
    """What goes wrong on the page from now on: errors of scripts, refused policies, calls to other servers."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith((base_url, "data:")) else wrong.append(asked.url))
    return wrong
