"""The pictures with sliders and buttons, moved in a browser on the built pages, with no kernel and no
network."""

import json
import re
import time
from pathlib import Path

import pdf
import pytest
import skeleton
from visits import DRAWN

ROOT = Path(__file__).resolve().parents[2]


CHAPTERS = sorted(
    {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}
    - skeleton.GUIDES
    - skeleton.WITHOUT_WIDGET
)


# a picture's address holds all of it: a short mark of it is enough to tell two apart
STATE = """async box => {
  const image = box.querySelector('img');
  await image.decode();
  let mark = 0;
  for (let i = 0; i < image.src.length; i++) mark = (mark * 31 + image.src.charCodeAt(i)) | 0;
  return [image.naturalWidth, `${image.src.length} ${mark}`, image.alt,
    box.querySelector('figcaption').innerText];
}"""
SAID = """slider => [slider.getAttribute('aria-valuetext'),
  slider.parentElement.querySelector('output').innerText]"""
LAYOUT = """b => [b.offsetHeight, ...[...b.querySelectorAll('img, input[type=range]')].map(
  e => e.getBoundingClientRect().top - b.getBoundingClientRect().top)].map(Math.round)"""


def state(box) -> tuple[str, str, str]:
    """Return what a stepper shows, once the picture is decoded: a mark of the picture, its
    alternative text, the caption. A broken picture would show nothing."""
    width, *shown = box.evaluate(STATE)
    assert width > 0
    return tuple(shown)


def said(slider) -> str:
    """Return what a slider says of itself, which must be what stands beside it."""
    spoken, shown = slider.evaluate(SAID)
    assert spoken == shown
    return spoken


def steppers(page):
    """Return the steppers of a page as elements."""
    return page.query_selector_all("figure.stepper")


def sliders(box):
    """Return the sliders of a stepper as elements."""
    return box.query_selector_all("input[type=range]")


def choices(box):
    """Return the groups of buttons of a stepper as elements."""
    return box.query_selector_all("fieldset")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_controls_move_by_keyboard_mouse_and_finger(browser, address, chapter):
    page = browser.new_page(viewport={"width": 375, "height": 812}, has_touch=True)
    page.goto(f"{address}chapters/{chapter}.html", wait_until="load")
    assert steppers(page), "no stepper"
    for box in steppers(page):
        assert 250 < box.bounding_box()["width"] <= 343
        wide = box.evaluate(
            "b => [...b.querySelectorAll('*')].some(e => e.scrollWidth > b.clientWidth + 1)"
        )
        assert not wide, "something is wider than its stepper"
        assert sliders(box) or choices(box), "nothing to move"
        for group in choices(box):
            by_choice(page, box, group)
        for slider in sliders(box):
            by_keyboard(page, box, slider)
            by_mouse(page, box, slider)
            by_finger(page, box, slider)
            page.set_viewport_size({"width": 1280, "height": 812})
            page.evaluate(DRAWN, [1280, "light"])
            assert len(settled_places(page, box, slider)) == 1, "something moves on a wide page"
            page.set_viewport_size({"width": 375, "height": 812})
            page.evaluate(DRAWN, [375, "light"])
    page.close()


def by_choice(page, box, group) -> None:
    """Go through all buttons by the arrow keys, then by finger, and see that nothing moves."""
    first, radios = state(box), group.query_selector_all("input[type=radio]")
    names = json.loads(group.get_attribute("data-labels"))
    assert [radio.evaluate("r => r.labels[0].innerText") for radio in radios] == names
    assert group.query_selector("legend").inner_text().strip()
    assert [radio.is_checked() for radio in radios] == [True] + [False] * (len(radios) - 1)
    radios[0].focus()
    seen, places = [first], {tuple(box.evaluate(LAYOUT))}
    for radio in radios[1:]:
        page.keyboard.press("ArrowRight")
        assert radio.is_checked()
        seen.append(state(box))
        places.add(tuple(box.evaluate(LAYOUT)))
    assert len({picture for picture, _, _ in seen}) > 1, "no picture changes"
    assert len({caption for _, _, caption in seen}) == len(seen), f"captions repeat: {seen}"
    assert all(alt == caption for _, alt, caption in seen)
    assert len(places) == 1, f"height, picture and controls lie at {places}"
    for radio, shown in zip(radios, seen, strict=True):
        label = radio.query_selector("xpath=..")
        label.scroll_into_view_if_needed()
        area = label.bounding_box()
        assert area["height"] >= 24, f"a button is {area['height']} px high"
        page.touchscreen.tap(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        assert state(box) == shown
    radios[0].check()
    assert state(box) == first


def by_keyboard(page, box, slider) -> None:
    """Go through all levels, and see that nothing else moves."""
    first = state(box)
    slider.focus()
    seen, words, places = [first], [said(slider)], {tuple(box.evaluate(LAYOUT))}
    for _ in range(int(slider.get_attribute("max"))):
        page.keyboard.press("ArrowRight")
        seen.append(state(box))
        words.append(said(slider))
        places.add(tuple(box.evaluate(LAYOUT)))
    assert len({picture for picture, _, _ in seen}) > 1, "no picture changes"
    assert len({caption for _, _, caption in seen}) == len(seen), f"captions repeat: {seen}"
    assert len(set(words)) == len(words), words
    assert all(alt == caption for _, alt, caption in seen)
    assert len(places) == 1, f"height, picture and sliders lie at {places}"
    page.keyboard.press("Home")
    assert state(box) == first, "Home does not lead back"


def by_mouse(page, box, slider) -> None:
    """Drag a slider from its first level to its last, and send it home."""
    before = state(box)
    slider.scroll_into_view_if_needed()
    area = slider.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 9, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 3, middle, steps=4)
    page.mouse.up()
    assert slider.input_value() == slider.get_attribute("max")
    after = state(box)
    assert after[0] != before[0], "the picture stays"
    assert after[2] != before[2], "the caption stays"
    page.keyboard.press("Home")
    assert state(box) == before


def by_finger(page, box, slider) -> None:
    """Tap a slider at its right end, and send it home."""
    before = state(box)
    slider.scroll_into_view_if_needed()
    area = slider.bounding_box()
    page.touchscreen.tap(area["x"] + area["width"] - 4, area["y"] + area["height"] / 2)
    assert state(box)[2] != before[2]
    assert area["height"] >= 24, f"the slider is {area['height']} px high"
    page.keyboard.press("Home")
    assert state(box) == before


def places_of_all_levels(box, slider) -> set[str]:
    """Return where a stepper's parts lie, for every level."""
    return set(
        slider.evaluate(
            f"""(s, box) => [...Array(Number(s.max) + 1).keys()].map(level => {{
              s.value = level; s.dispatchEvent(new Event('input', {{bubbles: true}}));
              return ({LAYOUT})(box).join(' '); }})""",
            box,
        )
    )


def settled_places(page, box, slider, seconds=3.0) -> set[str]:
    """Return where a stepper's parts lie once it has reserved room for its new width: the observer
    of its size may be told some frames after the page has it."""
    end = time.monotonic() + seconds
    while len(places := places_of_all_levels(box, slider)) > 1 and time.monotonic() < end:
        page.wait_for_timeout(50)
    return places


@pytest.mark.parametrize("name", pdf.pages())
def test_without_javascript_there_is_the_text_the_first_picture_and_no_dead_slider(
    browser, address, name
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{name}.html", wait_until="load")
    assert page.locator(".bd-article h1").first.is_visible()
    found = steppers(page)
    assert found or name.rpartition("/")[2] not in CHAPTERS
    for box in found:
        image = box.query_selector("img").bounding_box()
        assert image["width"] > 100
        assert image["height"] > 50
        controls = [*sliders(box), *choices(box)]
        assert controls
        assert not any(one.is_visible() for one in controls), "a dead control"
        assert "JavaScript" in box.query_selector(".stepper-note").inner_text()
        assert box.query_selector("figcaption").inner_text().strip()
    context.close()


def test_ids_are_unique_and_no_widget_code_is_loaded(book):
    for chapter in CHAPTERS:
        text = (book / "chapters" / f"{chapter}.html").read_text(encoding="utf-8")
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert not {i for i in ids if i.startswith("stepper-") and ids.count(i) > 1}
        assert "widget-state" not in text
        assert "require.js" not in text
