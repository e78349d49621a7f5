"""The live page in a headless browser: it follows the sandbox, works by keyboard alone, and fits a phone."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests import needs
from tests.sandbox.driver import Driver
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.faults.rules import ACTS

NIP, PESEL = "5265877635", "80010112345"
SEAL = make_seal(nip=NIP)
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
expect.set_options(timeout=60_000)  # a busy machine may take its time

# WCAG 2 contrast of every visible text against the first opaque background behind it.
CONTRASTS = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
                            return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (color) => { const [r, g, b] = color.map((v) => linear(v / 255));
                             return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let e = element; e; e = e.parentElement) {
    const color = rgba(getComputedStyle(e).backgroundColor); if (color[3] === 255) return color; }
    return [255, 255, 255, 255]; };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
    const box = element.getBoundingClientRect();
    if (!text || box.width < 2 || box.height < 2 || !element.checkVisibility({ visibilityProperty: true })) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    found.push([text.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}
"""
# What can be operated must say what it is; what is named by another element must name one that exists.
NAMELESS = """
() => {
  const problems = [];
  for (const e of document.querySelectorAll('button, input, select, a[href], [role=meter], [role=region], dialog')) {
    const by = e.getAttribute('aria-labelledby');
    const name = by ? by.split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ')
      : e.getAttribute('aria-label') ?? (e.labels?.length ? e.labels[0].textContent : e.textContent);
    if (!name.trim()) problems.push(e.outerHTML.slice(0, 120));
  }
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby]'))
    for (const id of (e.getAttribute('aria-describedby') ?? e.getAttribute('aria-labelledby')).split(' '))
      if (!document.getElementById(id)) problems.push('nothing has the id ' + id);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push('twice: ' + id);
  const levels = [...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]));
  levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) problems.push('a heading skips a level'); });
  return problems;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = needs.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(ksef: Sandbox, browser: Browser) -> Iterator[Page]:
    yield from opened(ksef, browser)


@pytest.fixture
def timed_page(ksef: Sandbox, browser: Browser) -> Iterator[Page]:
    yield from opened(ksef, browser, own_clock=True)


def opened(ksef: Sandbox, browser: Browser, *, own_clock: bool = False, **options: Any) -> Iterator[Page]:
    """The page, live; the test fails when the browser had anything to complain of, the CSP included."""
    context = browser.new_context(**options)
    page = context.new_page()
    if own_clock:  # the browser's timers run when the test says so, too
        page.clock.install()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(ksef.management_url)
    expect(page.locator("#connection")).to_have_text("Live")
    yield page
    elsewhere = [url for url in asked if not url.startswith(ksef.management_url)]
    # The browser notes every refusal that a test provokes; the page says it in words.
    unexpected = [text for text in complaints if not re.search("status of (400|404)", text)]
    context.close()
    assert (elsewhere, unexpected) == ([], [])


@pytest.fixture
def busy(ksef: Sandbox, driver: Driver) -> None:
    """A company with a pair, its owner with one request left, and a refusal."""
    ksef.link_person(nip=NIP, pesel=PESEL)
    company = driver.sign_in(SEAL, nip=NIP)
    company.issue()
    company.issue("Offline")
    ksef.set_limits("Pesel", PESEL, enrollment=2, certificate=6)
    driver.sign_in(make_person(pesel=PESEL), nip=NIP).issue()
    driver.http.get("/certificates/limits")


def subject(page: Page, number: str) -> Any:
    return page.locator("li.subject", has_text=number)


def test_what_a_client_does_appears_by_itself(ksef: Sandbox, driver: Driver, page: Page) -> None:
    expect(page.locator("#subjects-empty")).to_be_visible()
    session = driver.sign_in(SEAL, nip=NIP)
    expect(subject(page, NIP)).to_contain_text("0 active certificates · 1 sign-in")
    serial = session.issue()
    expect(page.locator("#certificates")).to_contain_text(serial)
    expect(page.locator("#requests tr").first).to_contain_text("/certificates/enrollments/")
    expect(page.locator("#requests-count")).to_have_text(str(len(ksef.requests())))


def test_the_bars_show_what_remains_of_both_limits(page: Page, busy: None) -> None:
    company, owner = subject(page, NIP), subject(page, PESEL)
    expect(company.get_by_role("meter", name="Requests left")).to_have_attribute("aria-valuetext", "298 of 300 left")
    expect(company.get_by_role("meter", name="Certificates left")).to_have_attribute("aria-valuetext", "98 of 100 left")
    requests = owner.get_by_role("meter", name="Requests left")
    expect(requests).to_have_attribute("aria-valuenow", "1")
    expect(requests).to_have_attribute("aria-valuemax", "2")
    bar = requests.evaluate("bar => bar.firstChild.getBoundingClientRect().width / bar.getBoundingClientRect().width")
    assert abs(bar - 0.5) < 0.02


def test_details_tell_when_each_request_comes_back_and_set_the_limits(ksef: Sandbox, page: Page, busy: None) -> None:
    owner = subject(page, PESEL)
    owner.get_by_role("button", name=f"Details of PESEL {PESEL}").click()
    back = (ksef.now() + timedelta(days=30)).strftime("%Y-%m-%d")
    expect(owner).to_contain_text(re.compile(rf"→ back on {back}"))
    expect(owner).to_contain_text(f"The same person as NIP {NIP}")
    owner.get_by_label("Requests in a period").fill("12")
    owner.get_by_role("button", name="Set limits").click()
    expect(owner.get_by_role("meter", name="Requests left")).to_have_attribute("aria-valuetext", "11 of 12 left")
    expect(page.get_by_role("status")).to_have_text(f"The limits of PESEL {PESEL} are set.")


def test_the_clock_is_advanced_by_keyboard_alone(ksef: Sandbox, page: Page) -> None:
    before = ksef.now()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "+30 days":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The clock now shows")
    expect(page.locator("#shift")).to_have_text("30 days ahead")
    assert timedelta(days=30) <= ksef.now() - before < timedelta(days=30, minutes=2)


def test_the_clock_is_advanced_by_any_amount_set_and_brought_back(ksef: Sandbox, page: Page) -> None:
    page.get_by_label("Advance by how many").fill("36")
    page.get_by_label("Unit").select_option("hours")
    page.get_by_role("button", name="Advance", exact=True).click()
    expect(page.locator("#shift")).to_have_text("1.5 days ahead")
    page.get_by_label("A moment, UTC").fill("2030-05-01T12:00:00")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The clock now shows 2030-05-01 12:00")
    assert ksef.now().strftime("%Y-%m-%d %H:%M") == "2030-05-01 12:00"
    page.get_by_role("button", name="Back to real time").click()
    expect(page.locator("#shift")).to_be_hidden()


def test_a_refusal_of_the_sandbox_is_said_in_its_words(page: Page) -> None:
    page.get_by_label("Advance by how many").fill("999999999999")
    page.get_by_role("button", name="Advance", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("advance_seconds")


def test_a_fault_profile_is_switched_on_by_keyboard_alone(ksef: Sandbox, page: Page) -> None:
    page.get_by_label("Seed").fill("7")
    page.get_by_role("radio", name="none").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="mild")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("A new run begins: mild, seed 7.")
    expect(page.locator("#faults-done")).to_contain_text("In force: mild, 6 rules, and 0 single rules.")
    assert ksef.switches["fault_injection"] == "mild"


def test_a_single_rule_is_added_strikes_before_our_eyes_and_is_removed(ksef: Sandbox, page: Page) -> None:
    page.get_by_text("Add a single rule").click()
    page.get_by_label("What happens").select_option("error_before")
    page.get_by_label("Route").fill("/auth/challange")
    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("status")).to_contain_text("Did you mean '/auth/challenge'?")
    page.get_by_label("Route").fill("/auth/challenge")
    page.get_by_label("At most, each client").fill("1")
    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("status")).to_have_text("rule-1 is in force.")
    for status in (502, 200):
        assert httpx.post(f"{ksef.base_url}/auth/challenge", trust_env=False).status_code == status
    expect(page.locator("#rules")).to_contain_text("1 fault · at most 1")
    expect(page.locator("#fault-log")).to_contain_text("error_before")
    expect(page.locator("#requests")).to_contain_text("error_before")
    page.get_by_role("button", name="Remove rule-1, error_before").click()
    expect(page.locator("#rules li")).to_have_count(0)
    assert httpx.get(f"{ksef.management_url}/faults", trust_env=False).json()["rules"] == []


def test_every_act_can_be_chosen(page: Page) -> None:
    offered = page.get_by_label("What happens").locator("option").all_text_contents()
    assert sorted(offered) == sorted(str(act.__dataclass_fields__["name"].default) for act in ACTS)


def test_a_switch_is_found_and_set(ksef: Sandbox, page: Page) -> None:
    page.get_by_label("Find a switch").fill("enrollment_window")
    expect(page.locator("#switches li")).to_have_count(2)
    page.get_by_label("enrollment_window", exact=True).select_option("lifetime")
    expect(page.get_by_role("status")).to_have_text("enrollment_window is lifetime.")
    assert ksef.switches["enrollment_window"] == "lifetime"
    ksef.set(enrollment_window_days=7)
    httpx.post(f"{ksef.base_url}/auth/challenge", trust_env=False)
    expect(page.get_by_label("enrollment_window_days")).to_have_value("7")
    page.get_by_label("Find a switch").fill("nothing like that")
    expect(page.locator("#switches-empty")).to_be_visible()


def test_a_reset_asks_first_and_escape_keeps_everything(ksef: Sandbox, page: Page, busy: None) -> None:
    reset = page.get_by_role("button", name="Reset the sandbox")
    reset.click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(reset).to_be_focused()
    assert len(ksef.requests()) > 0
    reset.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#subjects-empty")).to_be_visible()
    assert ksef.requests() == []


def test_a_subject_is_found_by_its_number_among_many(ksef: Sandbox, page: Page) -> None:
    for number in range(45):
        ksef.set_limits("Pesel", f"80010112{number:03}", enrollment=number)
    expect(page.locator("#subjects-count")).to_have_text("45", timeout=60_000)
    expect(page.locator("li.subject")).to_have_count(20)
    page.get_by_role("button", name="Next").click()
    expect(page.locator("li.subject").first).to_contain_text("80010112020")
    page.get_by_label("Find a subject by its number").fill("80010112041")
    page.keyboard.press("Enter")
    expect(page.locator("li.subject").first).to_contain_text("80010112041")
    expect(page.get_by_role("button", name="Details of PESEL 80010112041")).to_be_focused()
    page.get_by_label("Find a subject by its number").fill("11111111111")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("No subject 11111111111 has signed in.")


def test_the_focus_stays_where_it_is_while_the_page_follows(driver: Driver, page: Page, busy: None) -> None:
    button = page.get_by_role("button", name=f"Details of NIP {NIP}")
    button.focus()
    count = page.locator("#requests-count")
    before = count.text_content()
    driver.sign_in(SEAL, nip=NIP).issue()
    expect(count).not_to_have_text(before or "")
    expect(subject(page, NIP)).to_contain_text("3 active certificates")
    expect(button).to_be_focused()


def test_a_hidden_page_asks_nothing(timed_page: Page) -> None:
    page = timed_page
    page.evaluate(
        """() => { Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
                   document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    expect(page.locator("#connection")).to_have_text("Paused")
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.clock.run_for(60_000)
    assert page.evaluate("document.visibilityState") == "hidden"
    assert seen == []
    page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#connection")).to_have_text("Live")
    assert seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820, 1440])
def test_it_fits_every_screen_in_both_schemes_with_readable_text_and_named_controls(
    ksef: Sandbox, browser: Browser, busy: None, scheme: Any, width: int
) -> None:
    for page in opened(ksef, browser, color_scheme=scheme, viewport={"width": width, "height": 800}):
        page.get_by_role("button", name=f"Details of PESEL {PESEL}").click()
        expect(subject(page, PESEL)).to_contain_text("back on")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(NAMELESS) == []
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 40
        assert [found for found in contrasts if found[1] < 4.5] == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", background))) < 60) == (scheme == "dark")


def test_the_badge_says_sandbox_and_the_title_too(page: Page) -> None:
    expect(page.get_by_text("SANDBOX", exact=True)).to_be_visible()
    assert page.title().startswith("SANDBOX")


def test_the_page_is_led_to_and_lets_a_browser_load_nothing_from_elsewhere(ksef: Sandbox) -> None:
    base = ksef.management_url.removesuffix("/sandbox")
    for path in ("/", "/sandbox"):
        assert httpx.get(base + path, trust_env=False).headers["Location"] == "/sandbox/"
    with httpx.Client(base_url=ksef.management_url, trust_env=False) as client:
        for path in ("/", "/page.js", "/page.css", "/icon.svg"):
            response = client.get(path)
            assert response.status_code == 200
            assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert not re.findall(r"https?://(?!www\.w3\.org/)", response.text)
        html = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)
