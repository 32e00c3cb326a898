"""The pictures with sliders, moved in a browser on the built pages, with no kernel and no
network."""

import re
from pathlib import Path

import pytest
import skeleton

ROOT = Path(__file__).resolve().parents[2]
STEPPER = '<figure class="stepper"'


@pytest.fixture(scope="module")
def with_steppers(book, names) -> list[str]:
    found = [name for name in names if STEPPER in (book / name).read_text(encoding="utf-8")]
    if not found:
        pytest.skip("no page of this book has a stepper")
    return found


@pytest.fixture
def opened(browser, address):
    """Open a page at phone width with touch; yield a function for it and close what it opened."""
    pages = []

    def go(name: str, **how):
        pages.append(browser.new_page(viewport={"width": 375, "height": 812}, **how))
        pages[-1].goto(address + name, wait_until="load")
        return pages[-1]

    yield go
    for page in pages:
        page.close()


def state(box) -> tuple[str, str, str]:
    """Return what a stepper shows: the picture's address, its alternative text, the caption."""
    image = box.locator("img")
    return (
        image.get_attribute("src"),
        image.get_attribute("alt"),
        box.locator("figcaption").inner_text(),
    )


def settled(box) -> tuple[str, str, str]:
    """Return the state, once the picture is decoded; a broken one would show nothing."""
    assert box.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    return state(box)


def test_chapters_have_a_stepper(book):
    chapters = {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}
    chapters -= skeleton.GUIDES | skeleton.WITHOUT_WIDGET
    pages = {name: book / "chapters" / f"{name}.html" for name in chapters}
    assert len(pages) > 10
    assert [name for name, page in pages.items() if STEPPER not in page.read_text("utf-8")] == []


def test_keyboard_moves_every_slider_through_all_levels(opened, with_steppers):
    for name in with_steppers:
        page = opened(name)
        for box in page.locator("figure.stepper").all():
            for slider in box.locator("input[type=range]").all():
                first = settled(box)
                slider.focus()
                seen, said = [first], [slider.get_attribute("aria-valuetext")]
                for _ in range(int(slider.get_attribute("max"))):
                    page.keyboard.press("ArrowRight")
                    seen.append(settled(box))
                    said.append(slider.get_attribute("aria-valuetext"))
                    shown = slider.locator("xpath=following-sibling::output").inner_text()
                    assert shown == said[-1], (
                        f"{name}: {shown} beside a slider that says {said[-1]}"
                    )
                label = f"{name}: {box.get_attribute('aria-label')}: {slider.get_attribute('id')}"
                assert len({picture for picture, _, _ in seen}) > 1, f"{label}: no picture changes"
                assert len({caption for _, _, caption in seen}) == len(seen), (
                    f"{label}: captions repeat: {seen}"
                )
                assert len(set(said)) == len(said), f"{label}: {said}"
                assert all(alt == caption for _, alt, caption in seen), label
                page.keyboard.press("Home")
                assert settled(box) == first, f"{label}: Home does not lead back"


def test_nothing_moves_on_the_page_while_sliding(opened, with_steppers):
    for name in with_steppers:
        page = opened(name)
        for width in (375, 1280):
            page.set_viewport_size({"width": width, "height": 812})
            for box in page.locator("figure.stepper").all():
                for slider in box.locator("input[type=range]").all():
                    slider.focus()
                    places = {layout(box)}
                    for _ in range(int(slider.get_attribute("max"))):
                        page.keyboard.press("ArrowRight")
                        places.add(layout(box))
                    assert len(places) == 1, (
                        f"{name}, {width} px: height, picture and sliders lie at {places}"
                    )


def layout(box) -> tuple[float, ...]:
    """Return a stepper's height and how far below its top its picture and sliders lie, in
    pixels."""
    return tuple(
        box.evaluate("""b => [b.offsetHeight, ...[...b.querySelectorAll('img, input')].map(
        e => e.getBoundingClientRect().top - b.getBoundingClientRect().top)].map(Math.round)""")
    )


def test_mouse_moves_every_slider(opened, with_steppers):
    for name in with_steppers:
        page = opened(name)
        for box in page.locator("figure.stepper").all():
            for slider in box.locator("input[type=range]").all():
                before = settled(box)
                slider.scroll_into_view_if_needed()
                area = slider.bounding_box()
                middle = area["y"] + area["height"] / 2
                page.mouse.move(area["x"] + 9, middle)
                page.mouse.down()
                page.mouse.move(area["x"] + area["width"] - 3, middle, steps=4)
                page.mouse.up()
                assert slider.input_value() == slider.get_attribute("max"), name
                after = settled(box)
                assert after[0] != before[0], f"{name}: the picture stays"
                assert after[2] != before[2], f"{name}: the caption stays"


def test_a_finger_moves_the_first_slider_of_each_page(opened, with_steppers):
    for name in with_steppers:
        page = opened(name, has_touch=True)
        box = page.locator("figure.stepper").first
        slider = box.locator("input[type=range]").first
        before = settled(box)
        slider.scroll_into_view_if_needed()
        area = slider.bounding_box()
        page.touchscreen.tap(area["x"] + area["width"] - 4, area["y"] + area["height"] / 2)
        assert settled(box)[2] != before[2], name
        assert area["height"] >= 24, f"{name}: the slider is {area['height']} px high"


def test_steppers_fit_a_phone(opened, with_steppers):
    for name in with_steppers:
        page = opened(name)
        for box in page.locator("figure.stepper").all():
            area = box.bounding_box()
            assert 250 < area["width"] <= 343, f"{name}: {area}"
            wide = box.evaluate(
                "b => [...b.querySelectorAll('*')].some(e => e.scrollWidth > b.clientWidth + 1)"
            )
            assert not wide, f"{name}: something is wider than its stepper"


def test_without_javascript_the_first_picture_shows_and_no_dead_slider(
    browser, address, with_steppers
):
    context = browser.new_context(java_script_enabled=False)
    for name in with_steppers:
        page = context.new_page()
        page.goto(address + name, wait_until="load")
        for box in page.locator("figure.stepper").all():
            image = box.locator("img").bounding_box()
            assert image["width"] > 100, name
            assert image["height"] > 50, name
            assert not box.locator("input").first.is_visible(), (
                f"{name}: a slider that does nothing"
            )
            assert "JavaScript" in box.locator(".stepper-note").inner_text()
            assert box.locator("figcaption").inner_text().strip()
        page.close()
    context.close()


def test_ids_are_unique_and_no_widget_code_is_loaded(book, with_steppers):
    for name in with_steppers:
        text = (book / name).read_text(encoding="utf-8")
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert not {i for i in ids if i.startswith("stepper-") and ids.count(i) > 1}
        assert "widget-state" not in text
        assert "require.js" not in text
