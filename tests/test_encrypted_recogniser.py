"""The recogniser on shares: the same logits as in plaintext, and what each party sees."""

import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("cryptography")

import medpriv_lib as mp
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.encrypted.architecture import POOLINGS, Architecture
from medpriv_lib.encrypted.in_process import InProcess
from medpriv_lib.encrypted.recogniser import fixed_point, logits_of
from medpriv_lib.encrypted.shares import encode
from medpriv_lib.recognition import networks
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.wide import Wide


@pytest.fixture(scope="module")
def small():
    """Return a network for 16x16 images whose batch norm is not the identity, and images."""
    torch.manual_seed(0)
    network = Recogniser(3, 16)
    x = torch.rand(8, 1, 16, 16) * 2 - 1
    with torch.no_grad():
        for _ in range(3):
            network(x)  # moves the running statistics
        for _, norm, _, _ in network.blocks:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    return network.eval(), x.numpy()


def averaged(network):
    """Return the network with average pooling before ReLU, written with torch's own layers."""
    layers = [
        torch.nn.Sequential(conv, norm, torch.nn.AvgPool2d(2), torch.nn.ReLU())
        for conv, norm, _, _ in network.blocks
    ]
    return torch.nn.Sequential(*layers, network.dense, network.head).eval()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_logits_equal_those_in_plaintext(small, pooling):
    network, x = small
    plain = averaged(network) if pooling == "average" else network
    session = InProcess(network, pooling)
    for image in x[:3]:
        with torch.no_grad():
            want = plain(torch.from_numpy(image)[None])[0].double().numpy()
        found, ledger = session.infer(image)
        assert np.abs(found - want).max() < 1e-4
        assert ledger.comparisons == session.architecture.comparisons()


def test_shipped_recogniser_on_one_eye():
    image, network = default_cohort().of("test").images[0], Judges.load().disease
    with torch.no_grad():
        want = network(to_tensor(image[None]))[0].double().numpy()
    found = mp.infer(image, encrypted=True)
    assert np.abs(found.logits[0] - want).max() < 1e-3
    assert found.decisions[0] == want.argmax()
    assert np.abs(mp.infer(image).logits[0] - want).max() < 1e-5
    assert (found.comparisons, found.rounds) == (174_112, 25)
    assert set(found.saw) == {"model owner", "data owner", "dealer"}


def test_comparisons_are_counted_as_by_hand():
    # blocks of 32 filters at 64, 32, 16, 8 pixels and 32 dense units
    windows = 32 * (32**2 + 16**2 + 8**2 + 4**2)
    assert Architecture(pooling="max").comparisons() == 4 * windows + 32
    assert Architecture(pooling="max after relu").comparisons() == (4 + 3) * windows + 32
    assert Architecture(pooling="average").comparisons() == windows + 32


def test_architecture_is_the_recogniser():
    fields = Architecture()
    assert fields.kernels == networks.KERNELS
    assert (fields.filters, fields.embedding) == (networks.FILTERS, networks.EMBEDDING)


def test_what_a_party_sees_does_not_depend_on_the_image(small):
    """All that a party receives is flat, bit by bit: n bits, five standard errors of one half."""
    network, x = small
    session = InProcess(network, keep=True)
    for image in (np.zeros_like(x[0]), np.ones_like(x[0])):
        _, ledger = session.infer(image)
        for seen in ledger.seen:
            bits = np.unpackbits(np.concatenate([s.ravel() for s in seen]).view(np.uint8))
            assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))
    hidden = np.concatenate([x.ravel() for x in session.data_owner.hidden])
    bits = np.unpackbits(hidden.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))


def test_every_image_has_numbers_of_its_own(small):
    network, x = small
    session = InProcess(network, keep=True)
    first = session.infer(x[0])[1].seen[0][0]
    second = session.infer(x[0])[1].seen[0][0]
    assert (first != second).all()


def test_a_changed_share_is_no_logit():
    one = encode(np.array([[1.0, -1.0]]), 40)
    assert np.allclose(logits_of(one, np.zeros_like(one)), [1, -1])
    with pytest.raises(ValueError, match="a share was changed"):
        logits_of(one ^ np.uint64(1 << 60), np.zeros_like(one))


def test_bad_images_are_refused(small):
    network, x = small
    session = InProcess(network)
    for wrong, message in (
        (x[0][:, :8], "the network sees"),
        (x[0] * np.nan, "NaN"),
        (x[0] * 200, "outside of"),
    ):
        with pytest.raises(ValueError, match=message):
            session.infer(wrong)
    with pytest.raises(ValueError, match="the network sees 16x16"):
        mp.infer(np.zeros((64, 64), np.uint8), encrypted=True, network=network)
    with pytest.raises(ValueError, match="uint8"):
        mp.infer(np.zeros((16, 16)), network=network)


def test_bad_networks_are_refused(small):
    network, _ = small
    with pytest.raises(ValueError, match="Recogniser"):
        fixed_point(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="pooling"):
        fixed_point(network, "median")
    # without its norm the logits would be others, and nothing would say so
    with pytest.raises(ValueError, match="group norm, which divides by the spread"):
        fixed_point(Grouped(2, 16))
    with pytest.raises(ValueError, match="the same number of filters"):
        fixed_point(Wide(2, 16).eval())
    for wrong in ({"size": 40}, {"classes": 0}, {"kernels": (4,)}, {"filters": 10**6}):
        with pytest.raises(ValueError, match="no such recogniser"):
            Architecture(**wrong)
    large = Recogniser(2, 16)
    with torch.no_grad():
        large.head.weight.fill_(500.0)
    with pytest.raises(ValueError, match="exact sums allow"):
        fixed_point(large.eval())


def test_without_the_extra_one_line_says_how_to_install_it():
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import numpy as np\n"
        "from medpriv_lib.encrypted.shares import random_ring\n"
        "random_ring(2)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert "pip install 'medpriv[encrypted]'" in found.stderr


def test_the_package_alone_imports_nothing_of_the_extra():
    code = (
        "import sys, medpriv_lib.recognition.judges, medpriv_lib.cli\n"
        "assert not {'cryptography', 'tenseal'} & {name.partition('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], timeout=600, check=True)
