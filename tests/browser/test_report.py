"""The report in a real browser: every plot is drawn, nothing overlaps, nothing is asked of a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from testbed.bench.report.page import report
from tests.unit.bench.report.synthetic import SMALL, write

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROBES = ("first-packet", "established", "connect")
LOADS = ("idle", "load20000")
SIX_ARMS = 6  # of the small run: direct, legacy and nft at two sizes
PLOTS = {
    **{f"latency-{probe}-{load}": 2 * SIX_ARMS for probe in PROBES for load in LOADS},
    **{f"growth-{probe}-{load}": 3 for probe in PROBES for load in LOADS},
    **{f"load-{probe}": SIX_ARMS for probe in PROBES},
    **{f"spread-{load}": 4 for load in LOADS},
    "sync-full": 4,
    "sync-delta": 4,
}
"""Each plot with the least number of data marks and lines that it must show."""

# Lines and marks of data inside the axes: what matplotlib calls line2d_N and PathCollection_N, frame and ticks
# left out, that are visible and have an extent.
DRAWN = """
const svg = document.querySelector('#plot-' + arguments[0] + ' svg');
const box = svg.getBoundingClientRect();
const axes = 'g[id*="axes_"] > ';
const data = ['g[id*="line2d_"] path', 'g[id*="line2d_"] use', 'g[id*="LineCollection_"] path'];
const shown = [...svg.querySelectorAll(data.map(part => axes + part).join())].filter(path => {
    const size = path.getBoundingClientRect();
    const style = getComputedStyle(path);
    const inside = size.left >= box.left - 1 && size.right <= box.right + 1 && size.top >= box.top - 1
      && size.bottom <= box.bottom + 1;
    const painted = style.stroke !== 'none' || style.fill !== 'none';
    return (size.width > 0 || size.height > 0) && inside && painted && style.visibility === 'visible';
  });
return {width: box.width, height: box.height, shown: shown.length};
"""
OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll('figure svg')) {
  for (const axis of svg.querySelectorAll('g[id*="matplotlib.axis_"]')) {
    const texts = [...axis.querySelectorAll('g[id*="tick_"] text')];
    const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const [a, p] = boxes[i], [b, q] = boxes[j];
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 1 && y > 3) found.push(svg.parentElement.id + ': ' + a + ' / ' + b);
    }
  }
}
return found;
"""
OUTSIDE = """
return [...document.querySelectorAll('figure svg')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const t = text.getBoundingClientRect();
    return t.left < box.left - 2 || t.right > box.right + 2 || t.top < box.top - 2 || t.bottom > box.bottom + 2;
  }).map(text => svg.parentElement.id + ': ' + text.textContent);
});
"""
CONTRAST = """
const light = colour => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const paper = light(getComputedStyle(document.body).backgroundColor);
const words = 'h1, h2, p, span, td, th, li, a, pre, caption, figure svg text';
return [...document.querySelectorAll(words)].filter(element => {
  const style = getComputedStyle(element);
  const ink = light(element.closest('svg') ? style.fill : style.color);
  const large = parseFloat(style.fontSize) >= 24;
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < (large ? 3 : 4.5);
}).map(element => element.textContent.trim().slice(0, 40));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of a small made-up run."""
    folder = tmp_path_factory.mktemp("run") / "r"
    write(folder, SMALL)
    return report(folder).as_uri()


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own that logs what it prints and what it asks for."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser that has opened the report."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.get(page)
        yield driver


def look(driver: webdriver.Chrome, width: int, scheme: str = "light") -> None:
    """Set the width of the window in CSS pixels and the reader's colour scheme."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def requests(driver: webdriver.Chrome, page: str) -> list[str]:
    """The addresses that a page asked for; the browser's own start page asks for its own."""
    events: list[dict[str, Any]] = [
        json.loads(e["message"])["message"] for e in driver.get_log("performance")
    ]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent if params["documentURL"] == page]


@pytest.mark.parametrize("name", list(PLOTS))
def test_a_plot_is_drawn(browser: webdriver.Chrome, name: str) -> None:
    look(browser, 1280)
    drawn = browser.execute_script(DRAWN, name)
    assert drawn["width"] > 300
    assert drawn["height"] > 150
    assert drawn["shown"] >= PLOTS[name]


def test_every_plot_of_the_page_is_judged(browser: webdriver.Chrome) -> None:
    ids = browser.execute_script("return [...document.querySelectorAll('figure')].map(f => f.id)")
    assert sorted(ids) == sorted(f"plot-{name}" for name in PLOTS)


@pytest.mark.parametrize("width", [390, 1280])
def test_labels_of_an_axis_do_not_touch(browser: webdriver.Chrome, width: int) -> None:
    look(browser, width)
    assert browser.execute_script(OVERLAPS) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_words_stay_inside_their_plot(browser: webdriver.Chrome, width: int) -> None:
    look(browser, width)
    assert browser.execute_script(OUTSIDE) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_overflows_the_page(browser: webdriver.Chrome, width: int) -> None:
    look(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read(browser: webdriver.Chrome, scheme: str) -> None:
    look(browser, 1280, scheme)
    assert browser.execute_script(CONTRAST) == []


def test_the_page_follows_the_reader_into_the_dark(browser: webdriver.Chrome) -> None:
    colours = []
    for scheme in ("light", "dark"):
        look(browser, 1280, scheme)
        colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 254)", "rgb(20, 24, 28)"]


def test_answers_stand_on_the_first_screen(browser: webdriver.Chrome) -> None:
    look(browser, 1280)
    bottom = browser.execute_script(
        "const answers = [...document.querySelectorAll('.answers li')];"
        "return Math.max(...answers.map(one => one.getBoundingClientRect().bottom)) + window.scrollY"
    )
    assert 0 < bottom < 900


def test_nothing_went_wrong_and_nothing_was_asked_for(page: str, tmp_path: Path) -> None:
    with chromium(tmp_path) as driver:
        driver.get(page)
        assert driver.get_log("browser") == []
        # the page itself, and an icon that is in it, so that the browser does not look for one
        asked = {url.partition(",")[0] for url in requests(driver, page)}
        assert page in asked
        assert asked <= {page, "data:"}
