"""The console: in a real browser what an operator does, over HTTP what must not be."""

import csv
import re
from collections.abc import Iterator
from io import StringIO

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.product.browser import (
    PASSWORD,
    PHONE,
    WIDE,
    button,
    chromium,
    link,
    log_in,
    open_console,
    rows,
)
from tests.product.program import ROUTE, Program, installed, new_person, webhook
from tests.product.recorder import Answer

UNKNOWN = Answer(status=400, body={"msg": "", "code": "UnknownUserIdError"})
SCRIPT = "<script>document.title='owned'</script>"
SECRET_NAME, ADDRESS = "Zacharias", "zacharias@shop.example"
PAGES = ["", "deliveries", "events", "bulk", "templates", "routes"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running installation with a console and one event that is parked."""
    routes = [
        {"name": "paused", **ROUTE, "match": {"campaigns": ["Paused"]}},
        {"name": "many", **ROUTE, "match": {"campaigns": ["Many"]}},
        {"name": "all", **ROUTE},
    ]
    with installed(tmp_path_factory.mktemp("console"), routes=routes) as program:
        program.env["BRIDGE_CONSOLE_PASSWORD"] = PASSWORD
        program.start()
        program.accept({"id": "whs_1", "nonsense": SCRIPT}, status="parked")
        yield program


@pytest.fixture(scope="module")
def session(browser: Browser, site: Program) -> StorageState:
    """The cookie of somebody who is logged in."""
    page = open_console(browser, site.url)
    log_in(page)
    expect(link(page, "Deliveries").first).to_be_visible()
    state = page.context.storage_state()
    page.context.close()
    return state


@pytest.fixture
def page(browser: Browser, site: Program, session: StorageState) -> Iterator[Page]:
    """A window of somebody who is logged in."""
    opened = open_console(browser, site.url, storage_state=session)
    yield opened
    opened.context.close()


def dead(site: Program, code: str, campaign: str = "Load") -> str:
    """Make a delivery that Iterable refused for good; give its id."""
    person = new_person()
    site.iterable.tell(UNKNOWN, person=person)
    customer = {"name": SECRET_NAME, "email": ADDRESS}
    earned = webhook(person, code=code, campaign=campaign, customer=customer)
    row = site.deliver(earned)
    assert row["status"] == "dead"
    return str(row["id"])


def token(session: requests.Session, url: str) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', session.get(url).text)
    assert found is not None
    return found[1]


def guess(session: requests.Session, site: Program, password: str) -> int:
    """Try a password; give the status of the answer."""
    asked = session.get(f"{site.url}/console/")
    field = token(session, asked.url)
    form = {"password": password, "csrf_token": field}
    return session.post(asked.url, data=form, allow_redirects=False).status_code


def test_without_a_password_there_is_no_console(started: Program) -> None:
    assert requests.get(f"{started.url}/console/", timeout=30).status_code == 404


@pytest.mark.parametrize(
    "path",
    [*PAGES, "deliveries.csv", "deliveries/01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"],
)
def test_a_stranger_sees_the_login_only(site: Program, path: str) -> None:
    url = f"{site.url}/console/{path}"
    answer = requests.get(url, allow_redirects=False, timeout=30)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/console/")
    shown = requests.get(url, timeout=30)
    assert 'type="password"' in shown.text


def test_after_five_wrong_passwords_guessing_has_to_wait(program: Program) -> None:
    program.env["BRIDGE_CONSOLE_PASSWORD"] = PASSWORD
    program.start()
    with requests.Session() as session:
        statuses = [guess(session, program, "wrong") for _ in range(6)]
        assert set(statuses[:5]) == {401}
        assert statuses[5] == 429


def test_the_session_cookie_keeps_to_itself(session: StorageState) -> None:
    [cookie] = session["cookies"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] in ("Lax", "Strict")
    assert cookie["path"] == "/console"


def test_a_form_without_its_token_changes_nothing(site: Program, page: Page) -> None:
    page.goto("/console/routes")
    reply = page.request.post(f"{site.url}/console/routes/paused/pause", form={})
    assert reply.status == 400
    assert "paused" not in requests.get(f"{site.url}/readyz", timeout=30).text


def test_a_page_allows_nothing_from_elsewhere(site: Program) -> None:
    answer = requests.get(f"{site.url}/console/", timeout=30)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_delivery_is_read_revealed_and_sent_again(page: Page, site: Program) -> None:
    code = f"AGAIN-{new_person()}"
    delivery_id = dead(site, code)
    page.goto(f"/console/deliveries?search={code}")
    rows(page).first.get_by_role("link").first.click()
    expect(page.locator("h1")).to_contain_text("dead")
    main = page.locator("main")
    expect(main).to_contain_text("UnknownUserIdError")
    hidden = page.content()
    assert [one for one in (code, SECRET_NAME, ADDRESS) if one in hidden] == []
    button(page, "show personal data").click()
    expect(main).to_contain_text(code)
    button(page, "redeliver").click()
    expect(page.get_by_role("status").first).to_be_visible()
    site.in_state(delivery_id, "accepted")
    page.reload()
    expect(page.locator("h1")).to_contain_text("accepted")
    button(page, "hide personal data").click()
    expect(main).not_to_contain_text(code)


def test_a_csv_cell_is_never_a_formula(page: Page, site: Program) -> None:
    code = f"=cmd|{new_person()}"
    dead(site, code)
    button(page, "show personal data").click()
    expect(button(page, "hide personal data")).to_be_visible()
    address = f"{site.url}/console/deliveries.csv?search={code.replace('=', '%3D')}"
    lines = list(csv.reader(StringIO(page.request.get(address).text())))
    assert f"'{code}" in lines[1]


def test_a_route_is_paused_and_resumed(page: Page, site: Program) -> None:
    page.goto("/console/routes")
    card = page.locator("#paused")
    card.get_by_text("Pause", exact=True).first.click()
    card.locator("input[name=reason]").fill("wording under review")
    button(card, "pause").last.click()
    expect(page.locator("#paused")).to_contain_text("wording under review")
    person = new_person()
    [waiting] = site.accept(webhook(person, campaign="Paused"))
    page.goto("/console/")
    expect(page.locator("main")).to_contain_text("wording under review")
    assert site.delivery(waiting)["delivery"]["status"] == "pending"
    page.goto("/console/routes")
    button(page.locator("#paused"), "resume").click()
    site.iterable.arrived(person)


def test_many_are_planned_then_sent_again(page: Page, site: Program) -> None:
    for _ in range(3):
        dead(site, f"MANY-{new_person()}", campaign="Many")
    page.goto("/console/bulk")
    page.locator("select[name=status]").select_option("dead")
    page.locator("select[name=route]").select_option("many")
    button(page, "redeliver").first.click()
    expect(page.locator("main")).to_contain_text("redeliver 3")
    assert site.statuses("--route", "many") == ["dead"] * 3
    button(page, "^redeliver").last.click()
    expect(page.locator("main")).to_contain_text("3 of 3")
    site.iterable.wait(
        lambda: (
            sum("MANY" in one.fields["couponCode"] for one in site.iterable.messages())
            == 3
        )
    )


def test_a_parked_event_shows_its_body_as_text(page: Page) -> None:
    button(page, "show personal data").click()
    page.goto("/console/events?status=parked")
    expect(rows(page)).to_have_count(1)
    rows(page).first.get_by_role("link").first.click()
    expect(page.locator("pre", has_text="<script>").first).to_be_visible()
    expect(page.locator("h1")).to_contain_text("parked")
    assert "owned" not in page.title()


def test_an_edited_template_is_compared_and_not_saved(page: Page) -> None:
    page.goto("/console/templates/triggered_email.json.j2")
    source = page.locator("textarea")
    before = source.input_value()
    source.fill(before.replace("{{ reward.code", '{{ "X-" ~ reward.code'))
    button(page, "compare").click()
    expect(page.locator("main")).to_contain_text("X-")
    page.goto("/console/templates/triggered_email.json.j2")
    assert page.locator("textarea").input_value() == before


@pytest.mark.parametrize(
    ("theme", "size"), [("light", WIDE), ("dark", PHONE)], ids=["wide", "phone, dark"]
)
def test_no_page_has_a_serious_accessibility_fault_or_scrolls_sideways(
    browser: Browser,
    site: Program,
    session: StorageState,
    theme: str,
    size: dict[str, int],
) -> None:
    delivery_id = dead(site, f"AXE-{new_person()}")
    page = open_console(browser, site.url, viewport=size, color_scheme=theme)
    faults = serious(page)
    page.context.add_cookies(session["cookies"])  # type: ignore[arg-type]
    for path in [*PAGES, f"deliveries/{delivery_id}", "nowhere"]:
        page.goto(f"/console/{path}")
        faults += serious(page)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        faults += [f"{path} is {wide} px too wide"] if wide > 0 else []
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


def test_the_pages_work_without_scripts_on_a_phone(
    browser: Browser, site: Program
) -> None:
    code = f"PLAIN-{new_person()}"
    delivery_id = dead(site, code)
    page = open_console(browser, site.url, java_script_enabled=False, viewport=PHONE)
    log_in(page)
    link(page, "Deliveries").first.click()
    page.locator("input[name=search]").fill(code)
    button(page, "filter").click()
    rows(page).first.get_by_role("link").first.click()
    button(page, "redeliver").click()
    expect(page.get_by_role("status").first).to_be_visible()
    site.in_state(delivery_id, "accepted")
    page.context.close()
