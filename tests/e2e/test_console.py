"""The console in a real browser: what an operator does, and what must not happen."""

import json
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from bridge.model import DeliveryStatus
from tests.e2e.browser import NARROW, PASSWORD, WIDE, chromium, log_in, open_page
from tests.e2e.conftest import install
from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e

#: A person with a name nobody should have.
SCRIPT = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The whole program: five delivered, five dead, one event parked."""
    for made in install(tmp_path_factory.mktemp("console")):
        made.env["BRIDGE_CONSOLE_PASSWORD"] = PASSWORD
        made.start()
        for number in range(5):
            made.post(envelope(number))
        await_states(made, accepted=5)
        made.sandbox.tell(fixture="s13", times=5)
        for number in range(5, 10):
            body = envelope(number)
            made.post(body.replace(b'"Ana"', json.dumps(SCRIPT).encode()))
        await_states(made, accepted=5, dead=5)
        made.post(json.dumps({"id": SCRIPT, "nonsense": SCRIPT}).encode())
        yield made


def await_states(program: Program, **wanted: int) -> None:
    wait_for(lambda: program.statuses() == wanted)


@pytest.fixture(scope="module")
def entered(browser: Browser, program: Program) -> StorageState:
    """The cookie of somebody who is in."""
    page = open_page(browser, program, viewport=WIDE)
    log_in(page)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    state = page.context.storage_state()
    page.context.close()
    return state


@pytest.fixture
def page(browser: Browser, program: Program, entered: StorageState) -> Iterator[Page]:
    """A window of somebody who is in."""
    opened = open_page(browser, program, viewport=WIDE, storage_state=entered)
    yield opened
    opened.context.close()


def find(page: Page, code: str) -> None:
    """Search for a code and open the one delivery there is."""
    page.get_by_role("link", name="Deliveries", exact=True).click()
    page.get_by_label("Search").fill(code)
    page.get_by_label("Search").press("Enter")
    row = page.get_by_role("row").nth(1)
    expect(page.get_by_role("row")).to_have_count(2)
    row.get_by_role("link").click()


def status(program: Program, code: str) -> DeliveryStatus:
    (row,) = program.deliveries(search=code)
    return row.status


def addresses(program: Program) -> list[str]:
    """Every page there is."""
    delivery = program.deliveries(limit=1)[0]
    return [
        "/console/",
        "/console/deliveries",
        "/console/deliveries?search=nothing-has-this",
        f"/console/deliveries/{delivery.id}",
        "/console/events",
        f"/console/events/{delivery.event_id}",
        "/console/bulk?action=redeliver&status=dead",
        "/console/templates",
        "/console/templates/triggered_email.json.j2",
        "/console/routes",
        "/console/nowhere",
    ]


def test_a_wrong_password_opens_nothing(browser: Browser, program: Program) -> None:
    page = open_page(browser, program)
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    page.goto("/console/deliveries")
    expect(page.get_by_label("Password")).to_be_visible()
    page.context.close()


def test_a_delivery_is_found_by_its_code_read_and_sent_again(
    page: Page, program: Program
) -> None:
    find(page, "CODE-000005")
    expect(page.locator("h1")).to_contain_text("dead")
    story = page.locator(".timeline")
    expect(story).to_contain_text("Webhook received")
    expect(story).to_contain_text("Attempt 1")
    expect(story).to_contain_text("UnknownUserIdError")
    expect(page.locator("main")).not_to_contain_text("CODE-000005")
    page.get_by_role("button", name="Show personal data").click()
    expect(story).to_contain_text("CODE-000005")
    page.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_role("status")).to_contain_text("Back in the queue")
    wait_for(lambda: status(program, "CODE-000005") is DeliveryStatus.ACCEPTED)
    page.reload()
    expect(story).to_contain_text("Put back in the queue by hand")
    expect(story).to_contain_text("Attempt 2")


def test_many_are_planned_then_sent_again(page: Page, program: Program) -> None:
    page.get_by_role("link", name="Bulk").click()
    page.get_by_label("State").select_option("dead")
    page.get_by_role("button", name="Plan a redelivery").click()
    expect(page.locator("main")).to_contain_text("The plan: redeliver")
    expect(page.locator("main")).to_contain_text("a user whom Iterable did not know")
    page.get_by_role("button", name=re.compile("Redeliver (it|them)")).click()
    expect(page.locator("h1")).to_contain_text("ended")
    wait_for(lambda: not program.deliveries(status=DeliveryStatus.DEAD))
    page.get_by_role("link", name="Bulk").first.click()
    page.get_by_label("State").select_option("dead")
    page.get_by_role("button", name="Plan a redelivery").click()
    expect(page.locator("main")).to_contain_text("Nothing that fits")


def test_an_edited_template_is_previewed_beside_the_old(page: Page) -> None:
    page.get_by_role("link", name="Templates").click()
    page.get_by_role("link", name="triggered_email.json.j2").click()
    source = page.get_by_label("Try a change")
    text = source.input_value()
    assert "{{ reward.code" in text
    source.fill(text.replace("{{ reward.code", '{{ "X-" ~ reward.code'))
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".diff .gone").first).to_be_visible()
    expect(page.locator(".diff .new").first).to_be_visible()
    page.get_by_role("link", name="Start again").click()
    assert page.get_by_label("Try a change").input_value() == text


def test_a_route_is_paused_and_resumed(page: Page, program: Program) -> None:
    page.get_by_role("link", name="Routes").click()
    card = page.locator("#all")
    card.get_by_text("Pause", exact=True).first.click()
    card.get_by_label("Why?").fill("wording under review")
    card.get_by_role("button", name="Pause all").click()
    expect(card).to_contain_text("wording under review")
    program.post(envelope(50))
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.locator(".alarm")).to_contain_text("wording under review")
    assert status(program, "CODE-000050") is DeliveryStatus.PENDING
    page.get_by_role("link", name="Routes").first.click()
    card.get_by_role("button", name="Resume").click()
    expect(card).to_contain_text("open")
    wait_for(lambda: status(program, "CODE-000050") is DeliveryStatus.ACCEPTED)


def test_routes_are_checked_with_iterable(page: Page) -> None:
    page.get_by_role("link", name="Routes").click()
    page.get_by_role("button", name="Check with Iterable").click()
    expect(page.get_by_role("status")).to_contain_text("Iterable")


def test_a_form_without_its_token_changes_nothing(page: Page, program: Program) -> None:
    page.goto("/console/routes")
    page.locator("#all").get_by_text("Pause", exact=True).first.click()
    page.evaluate(
        "document.querySelectorAll('[name=csrf_token]').forEach(x=>x.remove())"
    )
    page.locator("#all").get_by_label("Why?").fill("forged")
    page.locator("#all").get_by_role("button", name="Pause all").click()
    expect(page.locator("h1")).to_have_text("That form cannot be taken")
    with program.store.read() as tx:
        gate = program.store.gates.read(tx).get("route:all")
    assert gate is None or gate.reason != "forged"


def test_a_payload_full_of_scripts_is_shown_as_text(page: Page) -> None:
    page.get_by_role("button", name="Show personal data").click()
    find(page, "CODE-000009")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("pre", has_text="<script>").first).to_be_visible()
    page.get_by_role("link", name="Events", exact=True).click()
    page.get_by_label("Became").select_option("parked")
    page.get_by_role("button", name="Filter").click()
    page.locator("table a").first.click()
    expect(page.locator("pre", has_text="<script>").first).to_be_visible()
    assert "owned" not in page.title()


@pytest.mark.parametrize(
    ("theme", "size", "is_all"),
    [
        pytest.param("light", WIDE, False, id="quick"),
        pytest.param("light", WIDE, True, id="light", marks=pytest.mark.torture),
        pytest.param("dark", NARROW, True, id="dark", marks=pytest.mark.torture),
    ],
)
def test_no_page_has_a_serious_accessibility_fault_or_scrolls_sideways(
    browser: Browser, program: Program, theme: str, size: dict[str, int], is_all: bool
) -> None:
    page = open_page(browser, program, viewport=size, color_scheme=theme)
    faults = serious(page)
    log_in(page)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    # Those with the most on them; the others take their parts from them.
    pages = addresses(program)
    for address in pages if is_all else [pages[place] for place in (0, 1, 3, 6, 8)]:
        page.goto(address)
        faults += serious(page)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        faults += [f"{address} is {wide} px too wide"] if wide > 0 else []
    page.context.close()
    assert faults == []


def serious(page: Page) -> list[str]:
    """List what axe-core finds serious or critical."""
    options = {"resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{page.url} {one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_everything_can_be_done_with_the_keyboard_alone(
    browser: Browser, program: Program
) -> None:
    page = open_page(browser, program, viewport=WIDE)
    press = page.keyboard.press
    page.keyboard.type(PASSWORD)  # the field has the focus
    press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    tab_to(page, "Deliveries")
    press("Enter")
    page.wait_for_url("**/deliveries")
    press("/")
    page.keyboard.type("CODE-000001")
    press("Enter")
    page.wait_for_url("**search=CODE-000001**")
    tab_to(page, "crm-1")
    press("Enter")
    page.wait_for_url("**/deliveries/0**")
    tab_to(page, "Body")
    press("Enter")
    expect(page.locator("details[open] pre").first).to_be_visible()
    page.context.close()


def tab_to(page: Page, text: str) -> None:
    """Press Tab until something of that text has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"Tab never comes to {text}")


def test_the_pages_work_without_scripts(browser: Browser, program: Program) -> None:
    page = open_page(browser, program, java_script_enabled=False, viewport=NARROW)
    log_in(page)
    page.get_by_role("link", name="Deliveries", exact=True).click()
    page.get_by_label("State").select_option("accepted")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("row").nth(1).get_by_role("link").click()
    page.get_by_label("Send it all the same").check()
    page.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_role("status")).to_contain_text("Back in the queue")
    page.context.close()
