"""The explanation of a case and its page, opened in a browser."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.core.exposure import Exposed
from medpriv_lib.core.release import Release
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare
from medpriv_lib.explanation.case import SYNTHETIC, Explanation, explain_by_cases
from medpriv_lib.explanation.page import NO_MAP, PALE, overlay, page_of, whereabouts, write_page
from medpriv_lib.explanation.retrieval import decide
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import Original
from medpriv_lib.privatizers.protocol import Parameter, Privatizer
from medpriv_lib.recognition.networks import Recogniser

CHROMIUM = "/usr/bin/chromium"


class Darker(Privatizer):
    """A toy method: half the grey levels."""

    parameters = (Parameter("k", 3, "nothing", least=1, most=9),)

    def transform(self, cohort, generator):
        rows = np.arange(len(cohort))
        return Release(
            (cohort.images // 2).astype(np.uint8),
            rows,
            np.zeros((len(rows), 0), np.int64),
            "darker",
            {"k": 3, "secret_path": "/home/jane/scan.png", "start": "f" * 64},
        )


def cohort(n=40):
    return noise_cohort(np.arange(n) % 10, names=[f"Jane Doe {i}" for i in range(10)])


def network(classes=2, bias=3.0):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = Recogniser(classes, 16).eval()
        judge.head.bias.data += bias
        return judge


def explained(k=3, **changes) -> Explanation:
    image = np.random.default_rng(9).integers(0, 256, (16, 16), dtype=np.uint8)
    given = {
        "image": image,
        "network": network(),
        "gallery": cohort(),
        "privatizer": Darker(),
        "k": k,
        "generator": torch.Generator().manual_seed(0),
    } | changes
    return explain_by_cases(**given)


def test_an_explanation_holds_what_the_viewer_needs_and_nothing_that_links():
    result = explained()
    assert result.cases.shape == (3, 16, 16)
    assert result.case_maps.shape == (3, 16, 16)
    assert (result.case_maps >= 0).all()
    assert 0.5 <= result.probability <= 1
    assert not result.held_back.any()
    assert not {"source", "rows", "patient", "path"} & set(vars(result))
    assert "darker, k 3" in result.caption
    assert "scan.png" not in result.caption
    assert "ffff" not in result.caption


def test_the_own_patient_is_never_shown():
    files = cohort()
    for row in (0, 7, 23):  # the query is on file: its patient is known from the image itself
        result = explained(image=files.images[row])
        own = files.images[files.patient == files.patient[row]] // 2
        assert not any((case == other).all() for case in result.cases for other in own)
    allowed = explained(image=files.images[0], patient=int(files.patient[1]))
    assert (allowed.cases[0] == files.images[0] // 2).all()


def test_a_case_whose_patient_is_still_named_is_held_back():
    files, plain = cohort(), explained()
    behind = [
        int(np.flatnonzero((files.images // 2 == case).all(axis=(1, 2)))[0]) for case in plain.cases
    ]

    class Knows(Recogniser):
        """Names the right patient for the second case only."""

        def merged(self):
            return self

        def forward(self, x):
            out = torch.zeros(len(x), 10)
            named = files.patient[behind].copy()
            named[[0, 2]] = (named[[0, 2]] + 1) % 10
            return out.scatter(1, torch.from_numpy(named)[:, None], 1.0)

    result = explained(identity=Knows(10, 16))
    assert result.held_back.tolist() == [False, True, False]
    assert (result.cases[1] == 255).all()
    assert (result.case_maps[1] == 0).all()
    page = page_of(result)
    assert "Held back: after the change a recogniser still named the patient." in page
    assert page.count("<img ") == 2 * 3


def test_cases_that_show_originals_are_refused_with_the_count():
    with pytest.raises(Exposed, match="3 of 3 cases equal an original"):
        explained(privatizer=Original())


def test_what_is_synthetic_is_said_and_what_is_not_has_no_disease_of_ours():
    files = cohort()
    real, drawn = explained(), explained(gallery=replace(files, twin=files.images))
    assert real.classes == ("no disease", "disease")
    assert explained(gallery=replace(files, name="synthetic-iris-visits")).classes[1] == "glaucoma"
    assert real.caution == ""
    assert "synthetic" not in page_of(real)
    assert drawn.caution == SYNTHETIC
    assert SYNTHETIC in page_of(drawn)


def test_captions_say_when_the_change_lost_the_reading():
    result = explained()
    flipped = replace(
        result, case_decisions=np.array([result.decision, 1 - result.decision, result.decision])
    )
    assert "is still read as" in flipped.case_caption(0)
    assert "the change lost what the decision rested on" in flipped.case_caption(1)


def test_the_chance_never_reads_as_certainty():
    result = explained()
    assert replace(result, probability=0.9999).chance == "more than 99 %"
    assert replace(result, probability=0.876).chance == "88 %"
    assert "100 %" not in replace(result, probability=1.0).caption


def test_without_a_positive_logit_there_is_no_map_and_the_page_says_so():
    result = explained(network=network(bias=-100.0))
    assert (result.query_map == 0).all()
    assert "nowhere: no relevance could be drawn" in page_of(result)  # read aloud
    assert page_of(result).count(NO_MAP) == 1 + 3  # and seen
    assert NO_MAP not in page_of(explained())


def test_without_relevance_the_image_beside_is_pale_and_passes_for_no_map():
    without, with_maps = (page_of(explained(network=network(bias=b))) for b in (-100.0, 100.0))
    assert without.count("<img") == with_maps.count("<img") == 2 * (1 + 3)
    assert without.count(PALE) == 1 + 3
    assert PALE not in with_maps


def test_the_overlay_is_grey_without_relevance_and_orange_with():
    image = np.full((10, 10), 100, dtype=np.uint8)
    assert (overlay(image, np.zeros((10, 10))) == 100).all()
    spot = np.zeros((10, 10))
    spot[2, 3] = 5
    painted = overlay(image, spot)
    assert painted[2, 3].tolist() == [255, 140, 0]
    assert (painted[5, 5] == 100).all()
    assert whereabouts(spot) == "most, 100 %, in the upper left part"
    assert whereabouts(np.roll(spot, (3, 2), (0, 1))) == "most, 100 %, in the middle"


def test_image_of_another_size():
    with pytest.raises(ValueError, match=r"prepare it to 16x16"):
        explained(image=np.zeros((32, 32), dtype=np.uint8))


def test_k_out_of_range():
    with pytest.raises(ValueError, match="shows 1 to 12 cases, not 0"):
        explained(k=0)
    few = cohort(4)
    few = few.take(decide(network(), few.images) == decide(network(), few.images[:1]))
    with pytest.raises(ValueError, match="ask for at most"):
        explained(image=few.images[0], gallery=few, k=12)


def test_class_absent_from_the_gallery():
    judge = network()
    files = cohort()
    label = decide(judge, files.images)
    if len(np.unique(label)) == 1:
        judge.head.bias.data -= torch.from_numpy(
            np.median(
                judge(torch.from_numpy(files.images[:, None] / 127.5 - 1).float()).detach().numpy(),
                axis=0,
            )
        ).float()
        label = decide(judge, files.images)
    assert len(np.unique(label)) == 2
    with pytest.raises(ValueError, match="is absent from the gallery"):
        explained(network=judge, image=files.images[label == 1][0], gallery=files.take(label == 0))


def test_the_page_names_no_patient_no_path_and_asks_for_nothing(tmp_path):
    page = page_of(explained())
    assert "Jane" not in page
    assert "scan.png" not in page
    assert str(tmp_path) not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img ") == page.count(' alt="') == 8


def test_class_names_are_escaped():
    page = page_of(explained(classes=("<b>a</b>", "<script>alert(1)</script>")))
    assert "<script" not in page
    assert "<b>" not in page


def test_a_missing_folder_is_named_and_an_existing_report_survives_a_failure(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_page(explained(), tmp_path / "nowhere" / "report.html")
    path = tmp_path / "report.html"
    path.write_text("before")
    monkeypatch.setattr(
        "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        write_page(explained(), path)
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture(scope="module")
def browser():
    if not os.path.exists(CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a browser at {CHROMIUM}")
        pytest.skip(f"no browser at {CHROMIUM}")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("playwright is not installed")
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield instance
        instance.close()


def test_in_a_browser_the_page_loads_its_images_and_requests_nothing(browser, tmp_path):
    path = tmp_path / "report.html"
    write_page(explained(), path)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert messages == []
    assert page.evaluate(
        "[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt.length > 10)"
    )
    assert page.evaluate(
        "document.documentElement.scrollWidth <= window.innerWidth"
    )  # narrow: nothing sticks out
    assert page.evaluate("document.documentElement.lang") == "en"
    page.close()


CONTRAST = """() => { const style = getComputedStyle(document.body);
  const light = c => { const v = c.match(/\\d+/g).slice(0, 3).map(x => { x /= 255;
    return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const ground = light(style.backgroundColor);
  const ratio = c => { const l = light(c); return (Math.max(l, ground) + .05) / (Math.min(l, ground) + .05); };
  return [ground, ratio(style.color), ratio(getComputedStyle(document.querySelector('figcaption')).color)]; }"""


def test_in_a_browser_the_page_is_readable_in_light_dark_and_on_paper(browser, tmp_path):
    path = tmp_path / "report.html"
    write_page(explained(k=6), path)
    grounds = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(path.as_uri())
        grounds[scheme], text, soft = page.evaluate(CONTRAST)
        assert min(text, soft) >= 4.5  # WCAG 2.1, level AA
        if scheme == "dark":
            page.emulate_media(media="print", color_scheme="dark")
            assert page.evaluate(CONTRAST)[0] > 0.9  # ink on white paper, whatever the screen
        pdf = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
        page.close()
    assert grounds["light"] > 0.9
    assert grounds["dark"] < 0.1


def test_on_real_radiographs(tmp_path):
    folder = os.environ.get("MEDPRIV_TEST_IMAGES")
    if not folder or not os.path.isdir(folder):
        pytest.skip("MEDPRIV_TEST_IMAGES names no folder of images")
    listing = read_manifest(folder)
    some = [row for row in range(len(listing)) if row % 3 == 0]
    listing = replace(
        listing,
        files=tuple(listing.files[row] for row in some),
        patient=listing.patient[some],
        eye=listing.eye[some],
        diseased=listing.diseased[some],
        table_row=tuple(listing.table_row[row] for row in some),
    )
    files, _ = prepare(listing, Cut(32, False), progress=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = Recogniser(2, 32).eval()
    judge.head.bias.data = torch.tensor([20.0, 10.0])  # untrained: one reading for all
    own = int(files.patient[0])
    result = explain_by_cases(
        files.images[0],
        judge,
        files,
        Blur(9),
        3,
        torch.Generator().manual_seed(0),
        patient=own,
        classes=("no effusion", "effusion"),
    )
    blurred = Blur(9).privatize(files, torch.Generator()).images
    assert not any(
        (case == other).all() for case in result.cases for other in blurred[files.patient == own]
    )
    assert result.query_map.sum() > 0
    page = page_of(result)
    assert "no effusion" in page
    assert not any(name in page for name in files.patient_names.tolist() if len(name) > 4)
    write_page(result, tmp_path / "why.html")
    assert (tmp_path / "why.html").stat().st_size < 200_000
