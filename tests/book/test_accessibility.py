"""axe-core, which reads every built page in `test_pages.py`. tests/book/axe holds its release 4.11.0
(MPL 2.0)."""

from visits import violations


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
