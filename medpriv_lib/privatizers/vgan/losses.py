r"""The two losses of PPRL-VGAN, Equations 1 and 2 of Montenegro, Silva, Cardoso 2021 after Chen,
Konrad, Ishwar 2018.

I  an image          y^id  its patient          y^e  its label (task)          c  the replacement
identity f(I) = mu + sigma * eps   what the encoder keeps of I          G(I, c)  the image that is
shown in place of I D^1  real or made?        D^2  which patient?                   D^3  diseased?
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

G_WEIGHTS = (0.5, 0.5, 0.5, 0.002)  # lambda^G of Montenegro et al.: real/fake, identity, task, KL
# lambda^D of Chen et al.'s code on real images; on made ones real/fake counts 1
D_WEIGHTS = (0.25, 0.5, 0.25)
RECONSTRUCTION_KL = 5e-4  # the weight of the divergence before the first round


def discriminator_loss(
    on_real: tuple[Tensor, Tensor, Tensor],
    on_fake: tuple[Tensor, ...],
    patient: Int64[Tensor, " n"],
    task: Int64[Tensor, " n"],
    real_target: Float[Tensor, " n"],
    fake_target: Float[Tensor, " n"],
    weights: tuple[float, float, float] = D_WEIGHTS,
) -> Tensor:
    """Return minus Equation 1, to be minimised: a scalar.

    lambda_1 log D^1(I) + log(1 - D^1(G(I, c))) + lambda_2 log D^2_{y^id}(I) + lambda_3 log
    D^3_{y^e}(I), mean over the batch. Only D^1 looks at made images. `real_target` in [.9, 1] and
    `fake_target` in [0, .1] are the smoothed labels of Chen et al.; 1 and 0 give Equation 1 to the
    letter.
    """
    real, identity, label = on_real
    return (
        weights[0] * F.binary_cross_entropy_with_logits(real, real_target)  # - lambda_1 log D^1(I)
        + F.binary_cross_entropy_with_logits(on_fake[0], fake_target)  # - log(1 - D^1(G(I, c)))
        + weights[1] * F.cross_entropy(identity, patient)  # - lambda_2 log D^2_{y^id}(I)
        + weights[2] * F.cross_entropy(label, task)  # - lambda_3 log D^3_{y^e}(I)
    )


def divergence(mu: Float[Tensor, "n z"], log_variance: Float[Tensor, "n z"]) -> Tensor:
    """Return KL(q(f(I) | I) || N(0, 1)), summed over z, mean over the batch: a scalar >= 0."""
    return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()


def naming_loss(
    identity: Float[Tensor, "n patients"],
    label: Float[Tensor, "n labels"],
    patient: Int64[Tensor, " n"],
    task: Int64[Tensor, " n"],
) -> Tensor:
    """Return the identity and the task term of minus Equation 1, on real images: a scalar."""
    loss = D_WEIGHTS[1] * F.cross_entropy(identity, patient)
    return loss + D_WEIGHTS[2] * F.cross_entropy(label, task)


def reconstruction_loss(
    shown: Tensor, images: Tensor, mu: Float[Tensor, "n z"], log_variance: Float[Tensor, "n z"]
) -> Tensor:
    """Return the loss of a plain conditional variational autoencoder, of the mean absolute error of
    a pixel (images in [-1, 1]) and the divergence: a scalar.
    """
    return F.l1_loss(shown, images) + RECONSTRUCTION_KL * divergence(mu, log_variance)


def generator_loss(
    on_fake: tuple[Tensor, Tensor, Tensor],
    c: Int64[Tensor, " n"],
    task: Int64[Tensor, " n"],
    mu: Float[Tensor, "n z"],
    log_variance: Float[Tensor, "n z"],
    weights: tuple[float, float, float, float] = G_WEIGHTS,
    named: Sequence[Float[Tensor, "n patients"]] = (),
) -> Tensor:
    """Return Equation 2 in its trained form: a scalar to be minimised.

    Equation 2 prints log(1 - D) for all three heads. Its gradient vanishes where D is sure that the
    image is made, and for D^2 and D^3 it says the same as "be named c" and "show the label" with
    weak gradients where they are needed most. Chen et al.'s code, and this one, train the
    non-saturating - log D on all three heads, with hard targets: the fixed point is the same
    (Goodfellow et al. 2014, section 3).

    `named` holds the logits that other networks give the same images; the identity term is then the
    mean over D^2 and them. Without any it is Equation 2's.
    """
    real, identity, label = on_fake
    unlike = torch.stack([F.cross_entropy(logits, c) for logits in (identity, *named)]).mean()
    return (
        weights[0]
        * F.binary_cross_entropy_with_logits(
            real, torch.ones_like(real)
        )  # - lambda_1 log D^1(G(I, c))
        + weights[1] * unlike  # - lambda_2 log D^2_c(G(I, c))
        + weights[2] * F.cross_entropy(label, task)  # - lambda_3 log D^3_{y^e}(G(I, c))
        + weights[3] * divergence(mu, log_variance)  # + lambda_4 KL
    )
