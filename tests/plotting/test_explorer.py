"""The explorer in a real browser: its words, choices and weights are the model's own, by mouse, keyboard and finger.

The browser is Chromium without a window, driven through Selenium; where either is missing these tests skip, and fail
where MINITRANSFORMER_REQUIRE_BROWSER is set.
"""

import html
import json
import os
import re
from dataclasses import dataclass

import numpy as np
import pytest

from minitransformer.decoding import look_inside, outcomes
from minitransformer.decoding.inside import unpacked
from minitransformer.experiments.coreference import SHOWROOM, stored_pronoun_translator
from minitransformer.layers import Cache
from minitransformer.models import LlamaConfig, TransformerConfig, build_model
from minitransformer.plotting import Read, explore, explore_html

from ..site.browsing import chromium, no_browser

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
    if why := no_browser():
        if os.environ.get("MINITRANSFORMER_REQUIRE_BROWSER"):
            pytest.fail(why)
        pytest.skip(why)
    with chromium(1000) as driver:
        yield driver


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
        "return [...document.querySelectorAll('#keys button')]"
        ".map(e => parseFloat(e.style.getPropertyValue('--share')))"
    )
    return [float(n.split()[0]) for n in numbers], [bar / 100 for bar in bars]


def choose(browser, part, value):
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", part)).select_by_visible_text(str(value))


def test_every_choice_and_every_word_shows_the_models_own_weights(opened, look):
    page = opened(explore_html(look))
    wanted = maps_of(look)
    assert texts(page, "#kind option") == list(wanted)
    page.find_element("css selector", "#all summary").click()
    for kind, (queries, keys, weights) in wanted.items():
        choose(page, "kind", kind)
        assert texts(page, "#queries button") == queries
        assert texts(page, "#keys button span:first-child") == keys
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
            [[float(n) for n in texts(page, f"#all tbody tr:nth-child({t + 1}) td")] for t in range(len(queries))],
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

    assert press(Keys.TAB).get_attribute("id") == "to-output"
    assert press(Keys.TAB).get_attribute("id") == "kind"
    assert press(Keys.TAB).get_attribute("id") == "layer"
    press(Keys.ARROW_DOWN)
    assert press(Keys.TAB).get_attribute("id") == "head"
    assert press(Keys.TAB).text == "the"  # all words are one stop
    assert press(Keys.ARROW_DOWN, Keys.ARROW_DOWN).text == "sleeps"
    np.testing.assert_allclose(shown(page)[1], maps_of(look)["encoder"][2][1, 0, 2], atol=0.5e-4)
    assert press(Keys.END).text == "<eos>"
    assert press(Keys.ARROW_DOWN).text == "the"
    best = int(maps_of(look)["encoder"][2][1, 0, 0].argmax())
    assert press(Keys.TAB).text.startswith(look.source[best])  # of what it looks at, the largest weight
    assert press(Keys.HOME).text.startswith("the")
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
    groups = ["who looks: a word of the sentence", "what is looked at: every word of the sentence"]
    assert [name for role, name, _ in heard if role == "radiogroup"] == groups
    radios = [(name, state["checked"]) for role, name, state in heard if role == "radio"]
    assert radios[:5] == [(word, "true" if word == "cat" else "false") for word in look.source]
    looked_at = maps_of(look)["encoder"][2][0, 0, 1]
    keys = zip(look.source, looked_at)
    assert radios[5:] == [(f"{w} {x:.2f}", "true" if x == looked_at.max() else "false") for w, x in keys]
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
        seen = ".filter(e => e.offsetParent !== null)"
        targets = f"return [...document.querySelectorAll('button, select, summary')]{seen}"
        sizes = page.execute_script(f"{targets}.map(e => e.getBoundingClientRect().height)")
        assert min(sizes) >= 24  # WCAG 2.2, success criterion 2.5.8: a finger must find it
        words = "[...document.querySelectorAll('#queries button, #keys button')]"
        assert page.execute_script(f"return {words}.filter(e => e.scrollWidth > e.clientWidth + 1).length") == 0
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def inside():
    """The sentence with "it", both ways, and what each change makes of its translation."""
    translator = stored_pronoun_translator()
    data = look_inside(translator, SHOWROOM)
    return data | {"outcomes": outcomes(translator, SHOWROOM)}


def click(page, name):
    page.find_element("id", name).click()


def test_backward_every_step_shows_the_gradients_of_the_chosen_word(opened, inside):
    page = opened(explore_html(inside))
    click(page, "backward")
    y = inside["target"].index("elle")
    choose(page, "output", f"{y + 1}. elle")
    kinds = {kind["name"]: kind for kind in inside["kinds"]}
    for step, (name, layer) in enumerate((("cross", 0), ("decoder", 0), ("encoder", 1), ("encoder", 0))):
        assert texts(page, "#step") == [f"{name}, layer {layer}: step {step + 1} of 4 from the output"]
        kind, row = kinds[name], y if name != "encoder" else inside["source"].index("it")
        wanted = unpacked(kind["gradients"][layer][y])[0]
        page.find_elements("css selector", "#queries button")[row].click()
        numbers = [line.split(" \u2202") for line in texts(page, "#keys .number")]
        got = [float(number[1].replace("\u2212", "-")) for number in numbers]
        np.testing.assert_allclose(got, wanted[row], rtol=0.06, atol=0.0006)  # as they are written
        np.testing.assert_allclose([float(n[0]) for n in numbers], kind["weights"][layer][0][row], atol=0.0051)
        np.testing.assert_allclose(shown(page)[1], np.abs(wanted[row]) / np.abs(wanted).max(), atol=1e-3)
        arriving = np.array(kind["arriving"][layer][y])
        bars = "[...document.querySelectorAll('#queries button')].map(e => e.style.getPropertyValue('--share'))"
        (norm,) = re.findall(r"has the norm (.*)\.$", texts(page, "#said")[0])
        np.testing.assert_allclose(float(norm), arriving[row], rtol=0.06, atol=0.0006)
        got = [float(bar.rstrip("%")) / 100 for bar in page.execute_script(f"return {bars}")]
        np.testing.assert_allclose(got, arriving / arriving.max(), atol=1e-3)
        if step < 3:
            click(page, "to-input")
    assert not page.find_element("id", "to-input").is_enabled()
    salient = texts(page, "#saliency-words small")
    wanted = [*inside["saliency"]["source"][y], *inside["saliency"]["read"][y][: y + 1]]
    np.testing.assert_allclose([float(number) for number in salient], wanted, rtol=0.06, atol=0.0006)
    click(page, "forward")
    assert texts(page, "#step") == ["encoder, layer 0: step 1 of 4"]


def test_the_formula_has_the_numbers_of_the_chosen_entry(opened, inside):
    page = opened(explore_html(inside))
    click(page, "backward")
    y, it, car = inside["target"].index("elle"), inside["source"].index("it"), inside["source"].index("car")
    choose(page, "output", f"{y + 1}. elle")
    for _ in range(2):
        click(page, "to-input")
    page.find_elements("css selector", "#queries button")[it].click()
    page.find_elements("css selector", "#keys button")[car].click()
    (kind,) = [kind for kind in inside["kinds"] if kind["name"] == "encoder"]
    scores, w = unpacked(kind["scores"][1])[0, it], np.array(kind["weights"][1][0][it])
    g = unpacked(kind["gradients"][1][y])[0, it]
    lines = texts(page, "#formula li")
    number = re.compile(r"(?<!\w)\u2212?\d[\d.]*(?:e-\d+)?")
    numbers = [[float(n.replace("\u2212", "-")) for n in number.findall(line)] for line in lines]
    assert lines[0].startswith("\u201cit\u201d \u2192 \u201ccar\u201d")
    total = np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(numbers[0], scores[car], atol=0.001)
    np.testing.assert_allclose(numbers[1], [scores[car], scores.max(), total, w[car]], atol=0.001)
    np.testing.assert_allclose(numbers[2], g[car], atol=1e-5)
    np.testing.assert_allclose(
        np.abs(numbers[3]), np.abs([w[car], g[car], w @ g, w[car] * (g[car] - w @ g)]), atol=0.001
    )


def test_a_weight_taken_away_and_a_head_switched_off_show_the_new_output_beside_the_old(opened, inside):
    page = opened(explore_html(inside))
    choose(page, "layer", 1)
    it, car = inside["source"].index("it"), inside["source"].index("car")
    page.find_elements("css selector", "#queries button")[it].click()
    assert texts(page, "#take") == ["Take \u201cit\u201d \u2192 \u201ccar\u201d away"]
    click(page, "take")
    assert texts(page, "#as-it-is") == ["J'ai eu ma voiture directement du salon, elle était neuve."]
    assert [text.strip() for text in texts(page, "#changed-output")] == [
        "J'ai eu ma voiture directement du salon, il était neuf."
    ]
    assert texts(page, "mark") == ["il", "neuf."]
    assert texts(page, "#told") == ["The output changes."]
    assert page.find_element("id", "take").get_attribute("aria-pressed") == "true"
    click(page, "back")
    assert not page.find_element("id", "changed").is_displayed()
    page.find_elements("css selector", "#keys button")[car + 1].click()
    assert not page.find_element("id", "take").is_enabled()  # it was not computed
    click(page, "off")
    (wanted,) = [o for o in inside["outcomes"] if o["where"] == "encoder.blocks.1.attention" and "key" not in o]
    assert [text.strip() for text in texts(page, "#changed-output")] == [wanted["output"]]


def test_another_text_is_drawn_in_its_place_and_outcomes_may_come_later(opened, inside):
    """What the live page does: the numbers come from a function that computes them."""
    page = opened(explore_html(sentence(["a", "b"], ["x", "y", "z"])))
    data = {name: value for name, value in inside.items() if name != "outcomes"}
    page.execute_script(
        "window.calls = []; explorer(live(arguments[0], question => { window.calls.push(question.change); "
        "return new Promise(done => setTimeout(() => done({output: 'Il dort.', log_probability: -2}), 50)); }));",
        data,
    )
    assert texts(page, "#queries button") == inside["source"]
    assert texts(page, "#written") == ["\u2192 " + inside["output"]]
    assert texts(page, ".sentence") == [" ".join(inside["source"])]
    click(page, "take")
    wait = (
        "const done = arguments[0]; setTimeout(() => done(document.getElementById('changed-output').textContent), 200)"
    )
    assert page.execute_async_script(wait).strip() == "Il dort."
    row = np.array(inside["kinds"][0]["weights"][0][0][0])
    place = {"where": "encoder.blocks.0.attention", "head": 0, "query": 0, "key": int(row.argmax())}
    assert page.execute_script("return window.calls") == [place]  # once: no handler of the first text is left
    click(page, "to-output")
    assert texts(page, "#step") == ["encoder, layer 1: step 2 of 4"]


def test_all_changes_are_a_list_that_leads_to_each(opened, inside):
    page = opened(explore_html(inside))
    click(page, "tried")
    rows = page.find_elements("css selector", "#tried tbody button")
    assert len(rows) == len(inside["outcomes"])
    (row,) = [r for r in rows if r.text == "without \u201cit\u201d \u2192 \u201ccar\u201d of encoder, layer 1, head 0"]
    row.click()
    assert texts(page, "#queries [aria-checked=true]") == ["it"]
    assert texts(page, "#keys [aria-checked=true] span:first-child") == ["car"]
    assert texts(page, "mark") == ["il", "neuf."]


def test_another_words_vector_is_put_in_place(opened, inside):
    page = opened(explore_html(inside))
    choose(page, "layer", 1)
    it = inside["source"].index("it")
    page.find_elements("css selector", "#queries button")[it].click()
    wanted = [o for o in inside["outcomes"] if (o["where"], o.get("position")) == ("encoder.blocks.1", it)]
    assert len(wanted) == len(inside["source"]) - 1
    buttons = page.find_elements("css selector", "#patch-words button")
    assert [button.is_enabled() for button in buttons] == [of != it for of in range(len(buttons))]
    for one in wanted:
        buttons[one["of"]].click()
        assert [text.strip() for text in texts(page, "#changed-output")] == [one["output"]]
        name = f"\u201cit\u201d behind encoder.blocks.1 as \u201c{inside['source'][one['of']]}\u201d"
        assert texts(page, "#changed-name") == [name]
    click(page, "tried")
    names = texts(page, "#tried tbody th")
    assert all(any(f"as \u201c{word}\u201d" in name for name in names) for word in inside["source"])
    row = next(r for r in page.find_elements("css selector", "#tried tbody button") if "blocks.0 as" in r.text)
    row.click()
    assert texts(page, "#changed-name") == [row.text]
    assert not page.find_element("id", "patch-text").is_displayed()


def test_backward_by_keyboard_and_for_a_screen_reader(opened, inside):
    from selenium.webdriver import ActionChains, Keys

    page = opened(explore_html(inside))

    def press(*keys):
        ActionChains(page).send_keys(*keys).perform()
        return page.switch_to.active_element

    assert press(Keys.TAB).get_attribute("id") == "forward"
    assert press(Keys.ARROW_DOWN).get_attribute("id") == "backward"
    assert press(Keys.TAB).get_attribute("id") == "output"
    assert press(Keys.TAB).get_attribute("id") == "to-input"
    press(Keys.ENTER)
    assert texts(page, "#step")[0].startswith("decoder, layer 0: step 2 of 4")
    assert texts(page, "#said")[0].startswith("log P(")
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    page.execute_cdp_cmd("Accessibility.disable", {})
    interactive = {"button", "radio", "combobox", "radiogroup", "region"}
    heard = [node for node in nodes if not node["ignored"] and node["role"]["value"] in interactive]
    assert len(heard) > 20
    assert not [node for node in heard if not node["name"]["value"].strip()]


def test_backward_fits_a_phone(opened, inside):
    page = opened(explore_html(inside))
    device = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    try:
        click(page, "backward")
        click(page, "take")
        click(page, "tried")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
        sizes = "[...document.querySelectorAll('button, select, summary')].filter(e => e.offsetParent !== null)"
        assert page.execute_script(f"return Math.min(...{sizes}.map(e => e.getBoundingClientRect().height))") >= 24
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_page_of_forty_words_is_of_a_few_megabytes_and_answers_at_once(opened):
    translator = stored_pronoun_translator()
    text = " ".join((SHOWROOM.split() * 4)[:34])
    data = look_inside(translator, text)
    assert len(data["source"]) >= 40
    html_text = explore_html(data)
    assert len(html_text) < 6e6
    page = opened(html_text)
    click(page, "backward")
    seconds = page.execute_script(
        "const begin = performance.now(); document.querySelectorAll('#queries button')[5].focus(); "
        "document.body.offsetHeight; return (performance.now() - begin) / 1000"
    )
    assert seconds < 0.5


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
