"""axe-core reads every built page, in light and in dark mode. tests/book/axe holds its release
4.11.0 (MPL 2.0)."""

from pathlib import Path

import pytest

AXE = Path(__file__).with_name("axe") / "axe.min.js"
RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(v => ({id: v.id,
  impact: v.impact, help: v.help,
  where: v.nodes.slice(0, 4).map(n => n.target.join(' ') + ' | ' + n.html.slice(0, 140))}))"""


def violations(page) -> list[str]:
    """Return axe-core's serious and critical findings on an open page."""
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = [v for v in page.evaluate(RUN) if v["impact"] in ("serious", "critical")]
    return [f"{v['impact']}: {v['id']}: {v['help']}: {'; '.join(v['where'])}" for v in found]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_violation(browser, address, names, scheme):
    found = []
    for name in [*names, "search.html"]:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        page.goto(address + name, wait_until="load")
        page.wait_for_timeout(300)
        found += [f"{name}: {text}" for text in violations(page)]
        page.close()
    assert not found, "\n".join(found)


def test_axe_sees_what_is_wrong(browser):
    page = browser.new_page()
    page.set_content(
        '<html lang="en"><title>t</title><main><h1>t</h1><img src="x.png"><p style="color:#ccc">pale'
        '</p><input type="range"></main></html>'
    )
    found = " ".join(violations(page))
    page.close()
    assert "image-alt" in found
    assert "color-contrast" in found
    assert "label" in found
