import pytest
import torch

from medpriv_lib.recognition.grouped import Grouped


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_an_image_is_read_alone_whatever_lies_beside_it(pooling):
    torch.manual_seed(0)
    network = Grouped(2, 32, pooling=pooling)
    network.dropout.p = 0.0
    images = torch.rand(6, 1, 32, 32) * 2 - 1
    together = network.train()(images)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.merged()(images), together, atol=1e-5, rtol=1e-5)


def test_pooling_makes_a_difference_and_the_network_has_no_buffers():
    torch.manual_seed(0)
    average, most = Grouped(3, 32), Grouped(3, 32, pooling="max")
    most.load_state_dict(average.state_dict())
    images = torch.rand(4, 1, 32, 32)
    assert not torch.allclose(average.eval()(images), most.eval()(images), atol=1e-3)
    assert not list(average.buffers())


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="multiples|16, 32"):
        Grouped(2, 30)
