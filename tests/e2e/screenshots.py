"""`python -m tests.e2e.screenshots`: every page of the console, for `docs/screenshots`.

In light and dark, wide and narrow, of a small ledger in which everything happens.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import By, DeliveryFilter, EventFilter
from tests.e2e.browser import NARROW, PASSWORD, WIDE, chromium, log_in, open_page
from tests.e2e.conftest import install
from tests.e2e.program import ROOT, Program

FOLDER = ROOT / "docs" / "screenshots"


def main(folder: Path) -> None:
    """Make them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch, chromium() as browser:
        for program in install(Path(scratch)):
            _stage(program)
            for theme in ("light", "dark"):
                for name, size in (("wide", WIDE), ("narrow", NARROW)):
                    _shoot(browser, program, folder, f"{name}-{theme}", theme, size)


def _stage(program: Program) -> None:
    """Fill a ledger and start the bridge in front of it, without sending anything."""
    url = f"sqlite:///{program.folder / 'bridge.db'}"
    options = ("--rows", "4000", "--waiting", "60", "--days", "1.1")
    command = [sys.executable, "-m", "benchmarks.ledger", "--database-url", url]
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    (program.folder / "config.yaml").write_text(
        (ROOT / "config.example.yaml")
        .read_text(encoding="utf-8")
        .replace("templates: templates", f"templates: {ROOT / 'templates'}"),
        encoding="utf-8",
    )
    program.env["BRIDGE_CONSOLE_PASSWORD"] = PASSWORD
    program.start("--no-deliver")
    for sample in sorted((ROOT / "samples" / "voucherify").glob("1*.json")):
        program.post(sample.read_bytes())
    with program.store.write() as tx:
        program.store.gates.pause(tx, "route:rewards", "wording under review")


def _addresses(program: Program) -> dict[str, str]:
    ledger = program.store.ledger
    held = ledger.deliveries(DeliveryFilter(status=DeliveryStatus.HELD, limit=3))
    with program.store.write() as tx:
        ledger.redeliver(tx, [held[-1].id], by=By.CONSOLE)
    told = max(ledger.deliveries(DeliveryFilter(limit=400)), key=lambda row: row.number)
    (parked, *_) = ledger.events(EventFilter(status=EventStatus.PARKED, limit=1))
    return {
        "overview": "/console/",
        "deliveries": "/console/deliveries",
        "story": f"/console/deliveries/{told.id}",
        "bulk": "/console/bulk?action=redeliver&status=held",
        "templates": "/console/templates",
        "events": "/console/events?status=parked",
        "event": f"/console/events/{parked.id}",
        "routes": "/console/routes",
    }


def _shoot(
    browser: Browser,
    program: Program,
    folder: Path,
    ending: str,
    theme: str,
    size: dict[str, int],
) -> None:
    page = open_page(browser, program, color_scheme=theme, viewport=size)
    _take(page, folder / f"login-{ending}.png")
    log_in(page)
    for name, address in _addresses(program).items():
        page.goto(address)
        _take(page, folder / f"{name}-{ending}.png")
    _take_diff(page, folder / f"template-{ending}.png")
    page.context.close()


def _take_diff(page: Page, path: Path) -> None:
    """Edit a template and compare."""
    page.goto("/console/templates/triggered_email.json.j2")
    source = page.get_by_label("Try a change")
    text = source.input_value()
    source.fill(text.replace("{{ reward.code", '{{ "No. " ~ reward.code'))
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".diff")
    page.mouse.wheel(0, -5000)
    _take(page, path)


def _take(page: Page, path: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
