"""What `medpriv federate` refuses about privacy and masks, each in one line, before any work."""

import pytest
from federation_sites import hospitals

from medpriv_lib.cli import main
from medpriv_lib.federation.certificates import make_certificates
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster


@pytest.fixture
def own(tmp_path):
    hospitals(1)[0].cohort.save(tmp_path / "own.npz")
    return tmp_path / "own.npz"


def refused(capsys, *words):
    assert main(["federate", *map(str, words)]) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    return said


def test_options_that_belong_together(tmp_path, capsys):
    simulate = ["simulate", "--out", tmp_path / "out"]
    assert "belong to --epsilon" in refused(capsys, *simulate, "--noise", "distributed")
    said = refused(capsys, *simulate, "--epsilon", 8, "--noise", "distributed")
    assert "needs --secure-aggregation" in said
    keys = make_certificates(tmp_path / "keys", 3)
    lead = ["coordinator", "--certificates", keys, "--listen", "127.0.0.1:1", *simulate[1:]]
    assert "name --delta" in refused(capsys, *lead, "--epsilon", 8)


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "much"])
@pytest.mark.parametrize("option", ["--epsilon", "--rate", "--clip", "--multiplier"])
def test_a_number_that_protects_or_teaches_nobody_is_refused(capsys, option, number):
    with pytest.raises(SystemExit) as ended:
        main(["federate", "simulate", "--out", "out", f"{option}={number}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"argument {option}: must be a finite number above 0, not '{number}'" in said


def test_a_site_needs_its_ledger_and_its_roster(tmp_path, own, capsys):
    keys = make_certificates(tmp_path / "keys", 2)  # two sites have no roster
    site = ["site", own, "--name", "site-1", "--certificates", keys, "--coordinator", "here:1"]
    assert "belong together" in refused(capsys, *site, "--epsilon", 8)
    assert "roster.json: no such file" in refused(capsys, *site, "--secure-aggregation")
    ledger = ["--epsilon", 8, "--ledger", tmp_path / "ledger.json"]
    said = refused(capsys, *site, *ledger, "--delta", 0.9)
    assert "a delta above 0 and of at most 1 / patients" in said
    (tmp_path / "ledger.json").write_text("{}")
    assert "not a readable ledger" in refused(capsys, *site, *ledger)


def test_certificates_bring_identities_that_the_roster_knows(tmp_path):
    keys = make_certificates(tmp_path / "keys", 3)
    roster = Roster.read(keys / "roster.json")
    assert (roster.threshold, len(roster.members)) == (2, 3)
    for number in (1, 2, 3):
        file = keys / f"site-{number}.identity"
        assert file.stat().st_mode & 0o777 == 0o600
        assert roster.members[number] == Identity.read(file).public
