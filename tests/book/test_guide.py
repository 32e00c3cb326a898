"""The guide of "Which method?" in a browser: without a kernel, without a network, by keyboard, on a
phone, and as a table without JavaScript."""

import pytest

from medpriv_lib.study.advice.advise import advice
from medpriv_lib.study.advice.facts import read_facts
from medpriv_lib.study.advice.questions import QUESTIONS, situations
from medpriv_lib.study.advice.rules import asked

PAGE = "chapters/which-method.html"
TRY_ALL = """() => {
  const box = document.querySelector(".guide"), sets = [...box.querySelectorAll("fieldset")];
  const seen = {}, walk = (i, chosen) => {
    if (i === sets.length) {
      seen[chosen.join("|")] = [box.querySelector(".guide-title").textContent,
        box.querySelectorAll(".guide-figures li").length,
        sets.filter(s => !s.disabled).map(s => s.dataset.question).join(" "),
        box.querySelector(".guide-link").getAttribute("href")];
      return; }
    for (const input of sets[i].querySelectorAll("input")) {
      input.checked = true; input.dispatchEvent(new Event("change", {bubbles: true}));
      walk(i + 1, [...chosen, input.value]); } };
  walk(0, []);
  return seen; }"""


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(viewport={"width": 375, "height": 812}, color_scheme="dark")
    page.goto(address + PAGE, wait_until="load")
    yield page
    page.close()


def test_every_combination_says_what_the_library_says(page, book):
    facts = read_facts(book.parents[1] / "chapters" / "results")
    seen = page.evaluate(TRY_ALL)
    assert len(seen) == 108
    for situation in situations():
        title, figures, open_questions, link = seen["|".join(situation.values())]
        one = advice(situation, facts)
        assert title == one.title, situation
        assert figures == len(one.attacker), situation
        assert open_questions == " ".join(asked(situation)), situation
        assert (book / "chapters" / link).is_file(), link


def test_the_keyboard_answers_and_nothing_is_wider_than_a_phone(page):
    first = page.locator('.guide input[value="pictures"]')
    first.check()
    first.focus()
    before = page.locator(".guide").get_attribute("data-at")
    page.keyboard.press("ArrowDown")
    after = page.locator(".guide").get_attribute("data-at")
    assert before.startswith("pictures|")
    assert after.startswith("training|")
    wide, small = page.evaluate(
        """() => [document.documentElement.scrollWidth, Math.min(...[...document.querySelectorAll(
        '.guide label')].map(l => l.getBoundingClientRect().height))]"""
    )
    assert wide <= 375
    assert small >= 24  # px: large enough for a finger
    assert page.locator(".guide-answer").get_attribute("aria-live") == "polite"


def test_without_javascript_the_answers_are_a_table(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + PAGE, wait_until="load")
    assert not page.locator(".guide-form").is_visible()
    assert page.locator(".guide-table table").is_visible()
    assert page.locator(".guide-table tbody tr").count() == 30
    heads = page.locator(".guide-table th").all_inner_texts()
    assert heads[: len(QUESTIONS)] == [one.text for one in QUESTIONS]
    context.close()
