"""A real headless Chromium, and the console as its operator has it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PASSWORD = "a-long-console-password"
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
#: Milliseconds a page may take on a busy machine.
_PATIENCE = 30_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; without it skip at home and fail where CI is set."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing = "Chromium is not installed (Debian's package is called chromium)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    # Root and containers have no sandbox for Chromium to use.
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def open_console(browser: Browser, url: str, **options: Any) -> Page:
    """Open a window on the console's front page."""
    context = browser.new_context(base_url=url, **{"viewport": WIDE, **options})
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    page.goto("/console/")
    return page


def log_in(page: Page, password: str = PASSWORD) -> None:
    """Type the password and send the form."""
    page.locator("input[name=password]").fill(password)
    button(page, "log in").click()


def button(page: Page | Locator, words: str) -> Locator:
    """Find a button by a part of its name, upper and lower case alike."""
    return page.get_by_role("button", name=re.compile(words, re.IGNORECASE))


def link(page: Page | Locator, words: str) -> Locator:
    """Find a link by its whole name."""
    return page.get_by_role("link", name=words, exact=True)


def rows(page: Page) -> Locator:
    """Find the rows of the list a page shows, without its head."""
    return page.locator("main table tbody tr")
