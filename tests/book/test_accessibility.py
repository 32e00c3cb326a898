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


def test_axe_sees_the_one_pale_cell_of_a_table(browser):
    rows = [f"<tr><td>{number}</td><td>of many</td></tr>" for number in range(40)]
    for pale in ('style="color:#ccc"', 'class="pale"'):
        page = browser.new_page()
        page.set_content(
            '<html lang="en"><title>t</title><style>.pale {color: #ccc}</style><main><h1>t</h1><table>'
            f"{''.join(rows)}<tr><td>40</td><td {pale}>pale</td></tr></table></main></html>"
        )
        found = violations(page)
        page.close()
        assert len(found) == 1
        assert "color-contrast" in found[0]
        assert "pale" in found[0]
