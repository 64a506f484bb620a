"""A real headless Chromium, and the console as somebody in front of it has it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.program import Program

PASSWORD = "a-long-console-password"
WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 390, "height": 844}
#: Milliseconds for a page to be as expected: machines may be busy.
PATIENCE = 30_000
#: Chromium as distributions call it.
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; a skip at home without it, an error in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing = "Chromium is not installed (Debian's package is called chromium)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    # Without a sandbox of its own: as root, and in containers, it has none to use.
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, program: Program, **options: Any) -> Page:
    """Open a window on the console's front page."""
    context = browser.new_context(base_url=program.url, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/console/")
    return page


def log_in(page: Page, password: str = PASSWORD) -> None:
    """Type the password and go in."""
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
