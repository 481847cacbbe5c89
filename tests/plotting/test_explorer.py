"""The explorer in a real browser: its words, choices and weights are the model's own, by mouse, keyboard and finger.

The browser is Chromium without a window, driven through Selenium; where either is missing these tests skip, and fail
where MINITRANSFORMER_REQUIRE_BROWSER is set.
"""

import html
import json
import os
import re
import shutil
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from minitransformer.layers import Cache
from minitransformer.models import LlamaConfig, TransformerConfig, build_model
from minitransformer.plotting import Read, explore, explore_html

HOSTILE = [
    '<script>window.hacked="yes"</script>',
    "</script><b>",
    "<!--",
    "\"&amp;'",
    "@DATA@",
    "\u2028x",
    "<img src=x onerror=hacked=1>",
]


@dataclass
class Sentence:
    """What `Translator.look` returns."""

    source: list
    target: list
    cache: Cache


def rng():
    return np.random.default_rng(0)


def sentence(source, target):
    """A look into a small model that was never trained."""
    config = TransformerConfig(
        11, 13, d_model=8, n_heads=2, d_ff=6, n_encoder_blocks=2, n_decoder_blocks=1, dropout=0.0
    )
    draw = rng()
    model = build_model("pre-norm", config, draw)
    ids = (draw.integers(1, 11, (1, len(source))), draw.integers(1, 13, (1, len(target))))
    return Sentence(source, target, model.forward(*ids)[1])


@pytest.fixture(scope="module")
def look():
    return sentence(["the", "cat", "sleeps", ".", "<eos>"], ["le", "chat", "dort", "<eos>"])


def maps_of(look):
    """The model's own weights by what the page calls them: kind -> (words left, words right, (layer, head, T, S))."""
    read = ["(start)", *look.target[:-1]]

    def weights(stack, name):
        return np.array([block[name]["weights"][0] for block in look.cache[stack]["blocks"]])

    return {
        "encoder": (look.source, look.source, weights("encoder", "attention")),
        "decoder": (read, read, weights("decoder", "attention")),
        "cross": (look.target, look.source, weights("decoder", "cross_attention")),
    }


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def test_the_page_holds_all_words_and_weights(look):
    kinds = data_of(explore_html(look))["kinds"]
    wanted = maps_of(look)
    assert [kind["name"] for kind in kinds] == list(wanted)
    for kind, (queries, keys, weights) in zip(kinds, wanted.values()):
        assert (kind["queries"], kind["keys"]) == (queries, keys)
        np.testing.assert_allclose(kind["weights"], weights, atol=0.5e-4)


def test_the_page_names_no_other_file_and_no_host(look):
    page = explore_html(look)
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<)]*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language, which nobody fetches
    assert not re.findall(r"\b(?:src|href)=|@import|url\(", page)
    assert "default-src 'none'" in page


def test_what_a_user_wrote_is_data_and_never_markup():
    page = explore_html(sentence(HOSTILE, ["a", *HOSTILE[::-1]]))
    assert data_of(page)["kinds"][0]["queries"] == HOSTILE
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert "<img" not in page
    assert html.escape(HOSTILE[0]) in page


def test_an_attention_with_one_head_and_no_encoder_weights_is_explored_too():
    weights = np.random.default_rng(0).random((1, 3, 2))  # (B, T, S), as recurrent models have it
    look = Sentence(["a", "b"], ["x", "y", "<eos>"], Cache(decoder=Cache(attention=Cache(weights=weights))))
    (kind,) = data_of(explore_html(look))["kinds"]
    assert kind["name"] == "cross"
    np.testing.assert_allclose(kind["weights"], weights[None], atol=0.5e-4)


def test_a_language_model_is_explored_as_it_read():
    ids = np.random.default_rng(1).integers(0, 13, (1, 5))
    words = ["to", "be", "or", "not", "<to>"]
    cache = build_model("llama", LlamaConfig(13, 9, 8, 2, n_kv_heads=1, d_ff=6, n_blocks=2), rng()).forward(ids)[1]
    explorer = explore(Read(words, cache))
    (kind,) = data_of(explorer.page)["kinds"]
    assert (kind["name"], kind["queries"], kind["keys"]) == ("decoder", words, words)
    weights = [block["attention"]["weights"][0] for block in cache["decoder"]["blocks"]]
    np.testing.assert_allclose(kind["weights"], weights, atol=0.5e-4)
    assert "to be or not &lt;to&gt;</p>" in explorer.page


def test_a_cache_without_attention_is_refused():
    with pytest.raises(ValueError, match=r"look\.cache holds no attention weights of this sentence"):
        explore_html(Sentence(["a"], ["b"], Cache(x=np.zeros(3))))


def test_it_is_saved_as_it_is(look, tmp_path):
    explorer = explore(look)
    path = explorer.save(tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == explorer.page == explore_html(look)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    if webdriver is None or chromium is None or chromedriver is None:
        reason = "no Chromium with driver and Selenium: apt install chromium chromium-driver, pip install selenium"
        if os.environ.get("MINITRANSFORMER_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    quiet = (
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-quic",
    )
    for argument in ("headless=new", "disable-gpu", "disable-dev-shm-usage", "window-size=1000,900", *quiet):
        options.add_argument(f"--{argument}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has no sandbox for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Selenium leaves open
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
        yield driver
        driver.quit()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; afterwards nothing was complained of and nothing was fetched."""

    def get(page):
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        browser.get(path.as_uri())
        return browser

    browser.set_window_size(1000, 900)
    yield get
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def texts(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
    )


def shown(browser):
    """The weights that stand beside the words on the right, as they are drawn."""
    numbers = texts(browser, "#keys .number")
    bars = browser.execute_script(
        "return [...document.querySelectorAll('#keys li')].map(e => parseFloat(e.style.getPropertyValue('--share')))"
    )
    return [float(n) for n in numbers], [bar / 100 for bar in bars]


def choose(browser, part, value):
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", part)).select_by_visible_text(str(value))


def test_every_choice_and_every_word_shows_the_models_own_weights(opened, look):
    page = opened(explore_html(look))
    wanted = maps_of(look)
    assert texts(page, "#kind option") == list(wanted)
    for kind, (queries, keys, weights) in wanted.items():
        choose(page, "kind", kind)
        assert texts(page, "#queries button") == queries
        assert texts(page, "#keys li span:first-child") == keys
        assert texts(page, "#layer option") == [str(i) for i in range(weights.shape[0])]
        assert texts(page, "#head option") == [str(i) for i in range(weights.shape[1])]
        for layer, head in np.ndindex(weights.shape[:2]):
            choose(page, "layer", layer)
            choose(page, "head", head)
            for t, button in enumerate(page.find_elements("css selector", "#queries button")):
                button.click()
                numbers, bars = shown(page)
                np.testing.assert_allclose(numbers, weights[layer, head, t], atol=0.0051)
                np.testing.assert_allclose(bars, weights[layer, head, t], atol=0.5e-4)
        np.testing.assert_allclose(
            [[float(n) for n in texts(page, f"tbody tr:nth-child({t + 1}) td")] for t in range(len(queries))],
            weights[-1, -1],
            atol=0.0051,
        )


def test_pointing_at_a_word_is_enough(opened, look):
    from selenium.webdriver import ActionChains

    page = opened(explore_html(look))
    word = page.find_elements("css selector", "#queries button")[2]
    ActionChains(page).move_to_element(word).perform()
    assert word.get_attribute("aria-checked") == "true"
    np.testing.assert_allclose(shown(page)[1], maps_of(look)["encoder"][2][0, 0, 2], atol=0.5e-4)


def test_it_is_worked_by_keyboard_alone(opened, look):
    from selenium.webdriver import ActionChains, Keys

    page = opened(explore_html(look))

    def press(*keys):
        ActionChains(page).send_keys(*keys).perform()
        return page.switch_to.active_element

    assert press(Keys.TAB).get_attribute("id") == "kind"
    assert press(Keys.TAB).get_attribute("id") == "layer"
    press(Keys.ARROW_DOWN)
    assert press(Keys.TAB).get_attribute("id") == "head"
    assert press(Keys.TAB).text == "the"  # all words are one stop
    assert press(Keys.ARROW_DOWN, Keys.ARROW_DOWN).text == "sleeps"
    np.testing.assert_allclose(shown(page)[1], maps_of(look)["encoder"][2][1, 0, 2], atol=0.5e-4)
    assert press(Keys.END).text == "<eos>"
    assert press(Keys.ARROW_DOWN).text == "the"
    assert press(Keys.TAB).tag_name == "summary"


def test_a_screen_reader_hears_names_states_and_what_is_seen(opened, look):
    page = opened(explore_html(look))
    page.find_elements("css selector", "#queries button")[1].click()
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    page.execute_cdp_cmd("Accessibility.disable", {})

    def said_of(node):
        state = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
        return node["role"]["value"], node.get("name", {}).get("value", ""), state

    heard = [said_of(node) for node in nodes if not node["ignored"]]
    assert {name.strip() for role, name, _ in heard if role == "combobox"} == {"who looks", "layer", "head"}
    assert [name for role, name, _ in heard if role == "radiogroup"] == ["who looks: a word of the sentence"]
    radios = {name: state["checked"] for role, name, state in heard if role == "radio"}
    assert radios == {word: "true" if word == "cat" else "false" for word in look.source}
    assert "list" in {role for role, _, _ in heard}
    said = texts(page, "#said")[0]
    row = maps_of(look)["encoder"][2][0, 0, 1]
    best = int(row.argmax())
    assert said.startswith(f"“cat” looks at “{look.source[best]}” {row[best]:.2f}, ")
    assert page.find_element("id", "said").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_it_without_scrolling_sideways(opened, look, width):
    page = opened(explore_html(sentence(["constitutionally", *look.source], look.target)))
    device = {"width": width, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        targets = "return [...document.querySelectorAll('button, select, summary')]"
        sizes = page.execute_script(f"{targets}.map(e => e.getBoundingClientRect().height)")
        assert min(sizes) >= 24  # WCAG 2.2, success criterion 2.5.8: a finger must find it
        words = "[...document.querySelectorAll('#queries button, #keys li')]"
        assert page.execute_script(f"return {words}.filter(e => e.scrollWidth > e.clientWidth + 1).length") == 0
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_words_are_shown_as_they_are_and_do_nothing(opened):
    page = opened(explore_html(sentence(HOSTILE, ["a", *HOSTILE])))
    assert page.execute_script("return window.hacked === undefined")
    assert texts(page, "#queries button") == HOSTILE
    assert texts(page, ".sentence") == [" ".join(HOSTILE)]
    assert page.execute_script("return document.querySelectorAll('script, img, b').length") == 2


def test_in_a_notebook_it_is_a_frame_that_works(opened, look):
    page = opened(f"<!doctype html><body>{explore(look)._repr_html_()}</body>")
    page.switch_to.frame(page.find_element("tag name", "iframe"))
    page.find_elements("css selector", "#queries button")[3].click()
    np.testing.assert_allclose(shown(page)[1], maps_of(look)["encoder"][2][0, 0, 3], atol=0.5e-4)
    page.switch_to.default_content()
