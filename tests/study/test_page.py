"""The report's page in a browser: Debian's Chromium, without a screen."""

import json
from urllib.parse import urlsplit

import imageio.v3 as iio
import pytest
from browser import chromium

pytestmark = pytest.mark.slow

GREYS = {"ground truth": 32, "svd": 64}  # of the details that `written` makes up: (i + 1) / 8 in 8 bits


@pytest.fixture(scope="module", params=[1280, 400])
def browser(request, written, tmp_path_factory):
    """Chromium with the page open, so many pixels wide."""
    with chromium(request.param, tmp_path_factory.mktemp("browser")) as browser:
        browser.get((written[0] / "report.html").as_uri())
        browser.execute_script("for (const folded of document.querySelectorAll('details')) folded.open = true")
        choose(browser, "ground truth", "svd")
        yield browser


def choose(browser, left, right):
    from selenium.webdriver.support.ui import Select

    for select, value in zip(browser.find_elements("css selector", ".compare select"), (left, right), strict=False):
        Select(select).select_by_value(value)


def greys(browser):
    """The grey of the stage a quarter and three quarters of the way across."""
    stage = browser.find_element("css selector", ".stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    pixels = iio.imread(stage.screenshot_as_png)
    height, width = pixels.shape[:2]
    return [int(pixels[height // 2, width * share // 4, 0]) for share in (1, 3)]


def slider(browser):
    return browser.find_element("css selector", ".stage input")


def set_slider(browser, value):
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    browser.execute_script(script, slider(browser), value)


def test_the_divider_is_dragged_by_mouse(browser):
    from selenium.webdriver import ActionChains

    set_slider(browser, 50)
    assert greys(browser) == [GREYS["ground truth"], GREYS["svd"]]
    stage = browser.find_element("css selector", ".stage")
    across = stage.size["width"]
    drag = ActionChains(browser).move_to_element(stage).click_and_hold()
    drag.move_by_offset(int(0.4 * across), 0).release().perform()
    assert greys(browser) == 2 * [GREYS["ground truth"]]
    assert float(slider(browser).get_attribute("value")) == pytest.approx(90, abs=2)


def test_the_divider_follows_a_finger(browser):
    set_slider(browser, 50)
    greys(browser)  # scrolls there
    box = browser.execute_script("return document.querySelector('.stage').getBoundingClientRect().toJSON()")
    y = box["top"] + box["height"] / 2
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for event, share in (("touchStart", 0.5), ("touchMove", 0.3), ("touchMove", 0.1), ("touchEnd", None)):
        points = [] if share is None else [{"x": box["left"] + share * box["width"], "y": y}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": event, "touchPoints": points})
    assert greys(browser) == 2 * [GREYS["svd"]]


def test_the_divider_is_moved_by_keys(browser):
    from selenium.webdriver import Keys

    set_slider(browser, 50)
    slider(browser).send_keys(Keys.HOME)
    assert greys(browser) == 2 * [GREYS["svd"]]
    slider(browser).send_keys(Keys.ARROW_RIGHT * 30)
    assert greys(browser) == [GREYS["ground truth"], GREYS["svd"]]
    assert slider(browser).get_attribute("aria-valuetext") == "ground truth to 30%, then SVD, kernel"


def test_the_difference_is_amplified(browser):
    from selenium.webdriver.support.ui import Select

    gain = Select(browser.find_element("css selector", ".gain"))
    gain.select_by_value("2")
    assert greys(browser) == 2 * [2 * (GREYS["svd"] - GREYS["ground truth"])]
    gain.select_by_value("0")
    set_slider(browser, 50)
    assert greys(browser) == [GREYS["ground truth"], GREYS["svd"]]


def test_the_numbers_stand_beside_it(browser):
    beside = browser.find_element("css selector", ".beside .right").text
    assert beside.splitlines() == [
        "SVD, kernel",
        "27.50 dB",
        "SSIM 0.8000 in the detail",
        "0.500 (0.450–0.550) s for 48 x 48 pixels",
        "2.00 × direct, 2.00 in theory",
    ]


def test_a_point_names_itself_and_chooses_its_picture(browser):
    from selenium.webdriver import Keys
    from selenium.webdriver.support.ui import Select

    choose(browser, "svd", "ground truth")
    points = browser.find_elements("css selector", ".point[data-picture=svd]")
    (point, *_) = [point for point in points if point.is_displayed()]
    assert point.accessible_name == "SVD, kernel: fidelity 31.00 dB; speed-up 2.00 in theory, 3.00 measured"
    assert "SVD, kernel" in point.find_element("css selector", "title").get_attribute("textContent")
    browser.execute_script("arguments[0].focus()", point)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    right = browser.find_elements("css selector", ".compare select")[1]
    assert Select(right).first_selected_option.text == "SVD, kernel"
    choose(browser, "ground truth", "svd")


def test_each_network_has_a_divider_of_its_own(browser):
    """A point of the second chooses a picture there, and leaves the first alone."""
    from selenium.webdriver import Keys
    from selenium.webdriver.support.ui import Select

    selects = browser.find_elements("css selector", ".compare select")
    left, right = (Select(selects[i]) for i in (1, 4))  # of three for each network
    right.select_by_value("ground truth")
    points = browser.find_elements("css selector", ".point[data-of=control][data-picture=svd]")
    (point, *_) = [point for point in points if point.is_displayed()]
    browser.execute_script("arguments[0].focus()", point)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert right.first_selected_option.text == "SVD, kernel"
    left.select_by_value("ground truth")
    assert right.first_selected_option.text == "SVD, kernel"
    choose(browser, "ground truth", "svd")


def test_the_page_fits_its_width(browser):
    inner, outer = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert inner <= outer
    shown = {drawing.is_displayed() for drawing in browser.find_elements("css selector", "figure > .narrow")}
    assert shown == {outer < 768}  # 48 rem


def test_nothing_is_requested(browser, written):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in sent if urlsplit(url).scheme != "data"] == [(written[0] / "report.html").as_uri()]
    assert not browser.get_log("browser")  # no error, and nothing that the policy had to refuse
    size = (written[0] / "report.html").stat().st_size
    assert size < 15e6


@pytest.fixture
def still_page(browser, written):
    """The same page, opened without JavaScript."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get((written[0] / "report.html").as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_without_javascript_the_stills_are_there(still_page):
    assert not still_page.find_element("css selector", ".compare").is_displayed()
    stills = still_page.find_elements("css selector", ".front img")
    assert len(stills) == 2  # of each network what there is of its front pictures: SVD's
    assert all(still.is_displayed() and still.size["width"] > 100 for still in stills)
