"""Reports in a real browser: no error, a table that sorts and filters, keys, narrow and wide, readable colours.

Needs Chromium and its driver (Debian: chromium, chromium-driver). With the path of axe-core's axe.min.js in the
environment variable AXE_CORE, its rules of WCAG 2.1 AA are checked too.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from ecg.simulator.simulate import simulate_recording
from report_pages import run_report, write_model
from tiny import write_recording

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402 (after the check that it is there)
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and chromedriver are not installed"),
]
AXE = os.environ.get("AXE_CORE", "")

# The contrast of every text with what is behind it, by WCAG 2.1: those below 4.5 (large text: 3).
CONTRAST = """
const parts = (colour) => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  c.clearRect(0, 0, 1, 1); c.fillStyle = colour; c.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = c.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const light = (colour) => { const [r, g, b] = colour.map((v) => { v /= 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (element) => { for (let e = element; e; e = e.parentElement) {
  const c = parts(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0, 1] : [255, 255, 255, 1]; };
const poor = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let count = 0;
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || element.closest('script, style, option, .unseen')) continue;
  if (!element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const svg = element.closest('svg');
  let ground = behind(svg ?? element);
  if (svg && svg.querySelector('.sheet')) ground = parts(getComputedStyle(svg.querySelector('.sheet')).fill);
  const [a, b] = [light(parts(svg ? style.fill : style.color)), light(ground)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize);
  const large = !svg && (size >= 24 || (size >= 18.66 && style.fontWeight >= 700));
  count += 1;
  if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName} ${element.className} ${ratio.toFixed(2)}`);
}
return [count, [...poor]];
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A report of five recordings, the same in one file, and an evaluation of them."""
    place = tmp_path_factory.mktemp("browser")
    write_model(place / "model", n_members=2)
    for number in range(5):
        name = "<img src=x onerror=document.title='hacked'>" if number == 4 else f"HR{number:05d}"
        signal = simulate_recording(1, number + 1, "LBBB" if number == 0 else "NSR").signal
        header = write_recording(place / "in", f"R{number}", signal)
        header.with_suffix(".mat").rename(place / "in" / f"{name}.mat")
        header.rename(place / "in" / f"{name}.hea")
    (place / "in" / "bad.hea").write_text("nonsense")
    with pytest.MonkeyPatch.context() as patch:
        model, recordings = place / "model", place / "in"
        patch.setenv("OMP_NUM_THREADS", "1")
        run_report(patch, model, recordings, place / "report", "--attribution", "--note", "Simulated.")
        run_report(patch, model, recordings, place / "single", "--single")
        (recordings / "bad.hea").unlink()
        (place / "report" / "outputs" / "bad.csv").unlink()
        run_report(patch, "--evaluation", recordings, place / "report" / "outputs", place / "evaluation")
    return place


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


@pytest.fixture
def browser(chromium):
    """The browser at 1,440 px in light colours; whatever it complains of fails the test."""
    show(chromium, 1440)
    chromium.get_log("browser")
    yield chromium
    assert chromium.get_log("browser") == []


def show(browser, width, scheme="light"):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def pages_of(place):
    first = sorted((place / "report" / "pages").glob("HR*.html"))[0]
    evaluation = place / "evaluation" / "index.html"
    return [place / "report" / "index.html", first, place / "single" / "index.html", evaluation]


def press(browser, *keys):
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def names(browser):
    return [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#recordings tbody .who")]


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def eventually(browser, condition):
    """Wait for the page of a link: the browser follows it in its own time."""
    WebDriverWait(browser, 20).until(lambda _: condition())


def titles(browser):
    """Of the recordings that can be seen."""
    return [title.text for title in browser.find_elements(By.CSS_SELECTOR, "article h1") if title.is_displayed()]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", range(4), ids=["index", "recording", "single", "evaluation"])
def test_a_page_fits_and_its_text_can_be_read(place, browser, which, scheme, width):
    show(browser, width, scheme)
    browser.get(pages_of(place)[which].as_uri())
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = true;")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    count, poor = browser.execute_script(CONTRAST)
    assert count > 30
    assert poor == []
    smallest = browser.execute_script(
        "return Math.min(...[...document.querySelectorAll('main *')].filter((e) => !e.closest('svg'))"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name an axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", range(4), ids=["index", "recording", "single", "evaluation"])
def test_axe_finds_nothing(place, browser, which, scheme):
    show(browser, 1440, scheme)
    browser.get(pages_of(place)[which].as_uri())
    browser.execute_script(Path(AXE).read_text())
    found = browser.execute_async_script(
        "const [rules, done] = arguments; axe.run({preload: false, runOnly: rules})"
        ".then((r) => done(r.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])));",
        ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    )
    assert found == []


def test_the_table_sorts_filters_and_searches(place, browser):
    browser.get(pages_of(place)[0].as_uri())
    everything = names(browser)
    assert len(everything) == 6
    assert browser.title == "ECG report"
    name, *_ = browser.find_elements(By.CSS_SELECTOR, "#recordings thead button")
    name.click()
    assert names(browser) == sorted(everything, key=str.lower)
    assert find(browser, "#recordings thead th").get_attribute("aria-sort") == "ascending"
    name.click()
    assert names(browser) == sorted(everything, key=str.lower, reverse=True)
    find(browser, "#search").send_keys("hr00002")
    assert names(browser) == ["HR00002"]
    find(browser, "#search").clear()
    find(browser, "#search").send_keys("nonsense")
    assert names(browser) == ["bad"]
    find(browser, "#search").send_keys(Keys.CONTROL + "a", Keys.BACKSPACE)
    options = browser.find_elements(By.CSS_SELECTOR, "#finding option")
    expected = int(options[1].text.rsplit("(", 1)[1].rstrip(")"))
    options[1].click()
    assert len(names(browser)) == expected
    options[0].click()
    find(browser, "#which option[value=problem]").click()
    assert names(browser) == ["bad"]


def test_unsure_comes_first_when_asked_for(place, browser):
    browser.get(pages_of(place)[0].as_uri())
    find(browser, "#unsure-first").click()
    text = (place / "report" / "recordings.js").read_text().removeprefix("window.REPORT = ").rstrip(";\n")
    rows = json.loads(text)["recordings"]
    expected = [row["name"] for row in sorted(rows, key=lambda row: -row.get("doubt", -1))]
    assert names(browser) == expected
    assert find(browser, "#unsure-first").get_attribute("aria-pressed") == "true"


def test_ten_thousand_rows_are_shown_a_hundred_at_a_time(place, browser, tmp_path):
    text = (place / "report" / "recordings.js").read_text().removeprefix("window.REPORT = ").rstrip(";\n")
    data = json.loads(text)
    data["recordings"] = [
        {**data["recordings"][0], "name": f"N{k:05d}", "rate": (k * 7919) % 10_000} for k in range(10_000)
    ]
    shutil.copytree(place / "report", tmp_path / "many")
    (tmp_path / "many" / "recordings.js").write_text(f"window.REPORT = {json.dumps(data)};")
    browser.get((tmp_path / "many" / "index.html").as_uri())
    assert len(names(browser)) == 100
    browser.find_elements(By.CSS_SELECTOR, "#recordings thead button")[2].click()
    assert find(browser, "#recordings tbody td.number").text == "0"
    find(browser, "#page-after").click()
    assert find(browser, "#page-now").text == "page 2 of 100"
    assert find(browser, "#recordings tbody td.number").text == "100"


def test_keys_lead_from_recording_to_recording_and_into_the_leads(place, browser):
    browser.get(pages_of(place)[1].as_uri())
    first = browser.current_url
    press(browser, Keys.ARROW_RIGHT)
    eventually(browser, lambda: browser.current_url != first)
    press(browser, Keys.ARROW_LEFT)
    eventually(browser, lambda: browser.current_url == first)
    for key, layout in (("2", "6x2"), ("3", "12x1"), ("1", "3x4")):
        press(browser, key)
        shown = [each for each in browser.find_elements(By.CSS_SELECTOR, ".papers .scroll") if each.is_displayed()]
        assert [each.get_attribute("class") for each in shown] == [f"scroll layout-{layout}"]
    press(browser, "z")
    assert find(browser, "#zoom-title").text == "Lead II"
    press(browser, Keys.ARROW_RIGHT)
    assert find(browser, "#zoom-title").text == "Lead III"
    assert find(browser, "#zoom-picture use").get_attribute("href") == "#lead-III"
    press(browser, Keys.ESCAPE)
    assert not find(browser, "#zoom").is_displayed()
    find(browser, '.leads [data-lead="V4"]').send_keys(Keys.ENTER)
    assert find(browser, "#zoom-title").text == "Lead V4"
    press(browser, Keys.ESCAPE)
    press(browser, "i")
    eventually(browser, lambda: browser.current_url.endswith("/report/index.html"))


def test_one_file_shows_one_recording_at_a_time(place, browser):
    browser.get(pages_of(place)[2].as_uri())
    assert find(browser, "#overview").is_displayed()
    assert titles(browser) == []
    find(browser, "#recordings tbody tr:nth-child(2) a").click()
    eventually(browser, lambda: len(titles(browser)) == 1)
    assert not find(browser, "#overview").is_displayed()
    [first] = titles(browser)
    press(browser, Keys.ARROW_RIGHT)
    eventually(browser, lambda: titles(browser) != [first])
    assert len(titles(browser)) == 1
    press(browser, "z")
    assert find(browser, "#zoom").is_displayed()
    press(browser, Keys.ESCAPE)
    press(browser, "i")
    eventually(browser, lambda: find(browser, "#overview").is_displayed())
    assert titles(browser) == []


def test_a_reader_may_turn_light_into_dark(place, browser):
    browser.get(pages_of(place)[1].as_uri())
    before = find(browser, "body").value_of_css_property("background-color")
    find(browser, "#theme").click()
    assert find(browser, "body").value_of_css_property("background-color") != before
    browser.refresh()
    assert find(browser, "#theme").text == "Light"
    find(browser, "#theme").click()
    assert find(browser, "body").value_of_css_property("background-color") == before
