"""Two parties and no dealer: the server computes on ciphertexts of CKKS, through TenSEAL.

Cheon, Kim, Kim, Song (2017), *Homomorphic encryption for arithmetic of approximate numbers*. CKKS
adds and multiplies vectors of real numbers under encryption, with a small error; it cannot compare.
So there is no ReLU and no max-pool: a small network with squares in their place, trained for it, or
a linear score of features. Everything between the parties is bytes. The client keeps the secret
key; the server gets public keys and ciphertexts, and sees the size of the image alone. Of the
network the client learns its shape and the logits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.learning.augment import augment

KIND = "square-network"
SIZE, KERNEL, STRIDE, CHANNELS, HIDDEN = 32, 7, 4, 6, 32
POSITIONS = (SIZE - KERNEL) // STRIDE + 1
# degree of the polynomials: bits of the primes at both ends, bits of those between (one for each
# product in a row), both within what 128 bits of security allow at that degree
MODULI = {8192: (31, 26), 16384: (60, 40)}
DEPTH = 6


class SquareNetwork(nn.Module):
    """Convolution 7x7 with stride 4 and 6 filters, square, dense 32, square, dense to the logits.

    Images are 32x32 in [-1, 1]; `shrunk` makes them from larger ones. The network has 9,808
    parameters with two classes.
    """

    def __init__(self, classes: int = 2) -> None:
        """Make the network with random weights from torch's global generator."""
        super().__init__()
        self.convolution = nn.Conv2d(1, CHANNELS, KERNEL, stride=STRIDE)
        self.dense = nn.Linear(CHANNELS * POSITIONS**2, HIDDEN)
        self.head = nn.Linear(HIDDEN, classes)

    def forward(self, x: Float[Tensor, "n 1 32 32"]) -> Float[Tensor, "n classes"]:
        """Return the logits."""
        x = self.convolution(x).square()
        return self.head(self.dense(x.flatten(1)).square())


def shrunk(images: UInt8[np.ndarray, "n h w"]) -> Float[Tensor, "n 1 32 32"]:
    """Return images of a multiple of 32 pixels as the network sees them: means of blocks.

    Raises `ValueError` for another size.
    """
    if images.shape[1] % SIZE or images.shape[1] != images.shape[2]:
        raise ValueError(
            f"the square network reads images of {SIZE}, {2 * SIZE}, … pixels, not "
            f"{images.shape[1]}x{images.shape[2]}; prepare them with --size 64"
        )
    return functional.avg_pool2d(to_tensor(images), images.shape[1] // SIZE)


class RectifiedNetwork(SquareNetwork):
    """The same network with ReLU in place of squares, for `hybrid`, where shares compare."""

    def forward(self, x: Float[Tensor, "n 1 32 32"]) -> Float[Tensor, "n classes"]:
        """Return the logits."""
        return self.head(self.dense(self.convolution(x).relu().flatten(1)).relu())


Small = TypeVar("Small", bound=SquareNetwork)


def fit_small(train: Cohort, seed: int, epochs: int, network: Small) -> Small:
    """Train a small network to tell the disease on a cohort's images, on the CPU.

    AdamW with one cycle of the learning rate, classes weighted by inverse frequency, augmented as
    the recogniser is; the same seed gives the same network on the same machine.
    """
    x, y = shrunk(train.images), torch.from_numpy(train.diseased).long()
    generator, batch, rate = seeded(seed, KIND), 64, 3e-3
    share = torch.bincount(y, minlength=2) / len(y)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
    for _ in range(epochs):
        rows = torch.randperm(len(x), generator=generator).split(batch)[: len(x) // batch]
        for part in rows:
            logits = network(augment(x[part], generator))
            loss = functional.cross_entropy(logits, y[part], 0.5 / share, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return network.eval()


def drawn(seed: int, kind: type[Small]) -> Small:
    """Return a network with random weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind()


def fit_square(train: Cohort, seed: int, epochs: int = 40) -> SquareNetwork:
    """Train the network with squares, as `fit_small` says."""
    return fit_small(train, seed, epochs, drawn(seed, SquareNetwork))


def load_square(path: Path | None = None) -> SquareNetwork:
    """Return the shipped network (None), or one that was saved. Errors as for `weights.load`."""
    tensors, _ = weights.load(weights.shipped(KIND) if path is None else path, kind=KIND)
    network = SquareNetwork(len(tensors["head.bias"]))
    network.load_state_dict(tensors)
    return network.eval()


class Client:
    """The data owner: draws the keys, encrypts, decrypts."""

    def __init__(self, degree: int = 16384, scores: bool = False) -> None:
        """Draw keys for images, or, with `scores`, for dot products.

        `degree` 8192 is fast and for images coarse, 16384 slower and more exact. Images need six
        products in a row and keys for rotations, some hundred MB; scores need one product, so that
        more bits are left for the numbers. Raises `ValueError` for another degree.
        """
        tenseal = ENCRYPTED.need("tenseal")
        if degree not in MODULI:
            raise ValueError(f"degrees are {', '.join(map(str, MODULI))}, not {degree}")
        ends, between = (60, 40) if scores else MODULI[degree]
        self._context = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS,
            degree,
            coeff_mod_bit_sizes=[ends, *[between] * (1 if scores else DEPTH), ends],
            n_threads=1,
        )
        self._context.global_scale = 2.0**between
        if not scores:
            self._context.generate_galois_keys()
        self.slots = degree // 2

    def public(self) -> bytes:
        """Return what the server needs: everything but the secret key."""
        return bytes(self._context.serialize(save_secret_key=False))

    def encrypt_image(self, image: Float[Tensor, "1 32 32"]) -> bytes:
        """Return one image as one ciphertext, its windows beside each other."""
        vector, _ = ENCRYPTED.need("tenseal").im2col_encoding(
            self._context, image[0].tolist(), KERNEL, KERNEL, STRIDE
        )
        return bytes(vector.serialize())

    def encrypt_features(self, features: Float[np.ndarray, "n f"]) -> list[bytes]:
        """Return one ciphertext per feature, which holds that feature of all n patients.

        Raises `ValueError` for more patients than a ciphertext has slots.
        """
        if len(features) > self.slots:
            raise ValueError(
                f"{len(features)} patients, and a ciphertext has {self.slots} slots; send batches"
            )
        tenseal = ENCRYPTED.need("tenseal")
        columns = (tenseal.ckks_vector(self._context, column.tolist()) for column in features.T)
        return [bytes(column.serialize()) for column in columns]

    def decrypt_logits(self, ciphertexts: Sequence[bytes]) -> Float[np.ndarray, " classes"]:
        """Return the logits of an answer about an image."""
        return np.concatenate([self.decrypt(one) for one in ciphertexts])

    def decrypt(self, ciphertext: bytes) -> Float[np.ndarray, " n"]:
        """Return the numbers of one ciphertext."""
        vector = ENCRYPTED.need("tenseal").ckks_vector_from(self._context, ciphertext)
        return np.array(vector.decrypt())


class Server:
    """The model owner: computes on what it cannot read."""

    def __init__(self, public: bytes) -> None:
        """Take a client's public keys. Raises `ValueError` where they hold the secret key, too."""
        self._tenseal = ENCRYPTED.need("tenseal")
        self._context: Any = self._tenseal.context_from(public)
        if self._context.is_private():
            raise ValueError("the client sent its secret key; send what `Client.public` returns")

    def logits(self, network: SquareNetwork, image: bytes) -> list[bytes]:
        """Return the encrypted logits of an encrypted image, one ciphertext each.

        Whoever has the key reads all slots, and a plain product of the last layer leaves sums of
        inner values in those that nobody asked for. So the dense layer fills all slots, with zeros
        behind its numbers, and each logit is a sum over all of them: it stands in every slot.
        """
        x = self._tenseal.ckks_vector_from(self._context, image)
        kernels = network.convolution.weight[:, 0].tolist()
        assert network.convolution.bias is not None
        biases = network.convolution.bias.tolist()
        maps = [
            x.conv2d_im2col(kernel, POSITIONS**2) + bias
            for kernel, bias in zip(kernels, biases, strict=True)
        ]
        y = self._tenseal.CKKSVector.pack_vectors(maps)
        y.square_()
        y = y.mm(self._filled(network.dense.weight.T)) + self._filled(network.dense.bias)
        y.square_()
        rows = zip(self._filled(network.head.weight), network.head.bias.tolist(), strict=True)
        return [bytes((y.dot(row) + bias).serialize()) for row, bias in rows]

    def _filled(self, numbers: Tensor) -> list:
        parameters = self._context.seal_context().data.key_context_data().parms()
        slots = parameters.poly_modulus_degree() // 2
        return functional.pad(numbers.detach(), (0, slots - numbers.shape[-1])).tolist()

    def scores(
        self, weights: Float[np.ndarray, " f"], bias: float, features: Sequence[bytes]
    ) -> bytes:
        """Return the encrypted weights . features + bias of all patients: one dot product each.

        Raises `ValueError` for another number of features than of weights.
        """
        if len(weights) != len(features) or not len(weights):
            raise ValueError(f"{len(features)} features came, and there are {len(weights)} weights")
        terms = [
            self._tenseal.ckks_vector_from(self._context, column) * float(weight)
            for weight, column in zip(weights, features, strict=True)
        ]
        total = sum(terms[1:], start=terms[0])
        return bytes((total + float(bias)).serialize())
