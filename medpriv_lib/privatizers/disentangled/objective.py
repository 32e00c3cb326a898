"""What encoder, generator and heads are asked for in a step: the terms of their loss, by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.learning.reversal import reversed_gradient
from medpriv_lib.privatizers.disentangled.discriminator import Discriminator
from medpriv_lib.privatizers.disentangled.losses import (
    Swapped,
    feature_loss,
    fooling_loss,
    gradient_loss,
    pair_loss,
    psnr_loss,
    ssim,
    swap_terms,
)
from medpriv_lib.privatizers.disentangled.networks import Networks, Vectors
from medpriv_lib.privatizers.disentangled.settings import Training

Terms = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """The images of a step: `x` (B, C, S, S) in [-1, 1], the second half showing the patients of
    the first; `patient`, `label` (B,); `order` (B,) a permutation: image i's donor is `order[i]`.
    """

    x: Float[Tensor, "b c s s"]
    patient: Int64[Tensor, " b"]
    label: Int64[Tensor, " b"]
    order: Int64[Tensor, " b"]


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of encoder, generator and heads.

    `recognisers` are (target, frozen network), target "patient" or "label"; `random` draws on the
    images' device; `encode` and `generate` are those of `networks`, perhaps compiled.
    """

    networks: Networks
    discriminator: Discriminator
    config: Training
    recognisers: list[tuple[str, nn.Module]]
    random: torch.Generator
    encode: Callable[[Tensor], Vectors]
    generate: Callable[[Vectors], Tensor]

    def terms(self, batch: Batch, strength: float) -> tuple[Terms, Tensor]:
        """Return the weighted terms and all images that were made, reconstructions first.

        `strength` 0 to 1 weighs all that follows the reconstruction.
        """
        c = self.config
        clean = self.encode(batch.x)
        vectors = clean.mapped(lambda one: self._noised(one, c.noise))
        made = self.generate(vectors)
        terms = self._reconstruction(made, batch.x) | self._heads(clean, vectors, batch)
        terms |= self._hidden(vectors, batch, strength)
        shown = made
        if strength > 0 and c.swap != "none":
            swapped = swap_terms(
                self.encode,
                self.generate,
                vectors,
                vectors.rows(batch.order),
                c.swap,
                c.detach,
                lambda image: self._noised(image, c.image_noise),
            )
            terms["swapped"] = strength * c.swapped * swapped.terms.sum()
            if self.recognisers:
                terms["named"] = strength * c.named * self._named(swapped, batch)
            shown = torch.cat([made, swapped.images])
        if strength > 0:
            terms |= self._fooled(shown, made, batch.x, strength)
        return terms, shown

    def seen(self, images: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c s s"]:
        """Return what the discriminator sees of the images."""
        return images if self.config.seen is None else self.config.seen(images, self.random)

    def _noised(self, x: Tensor, sigma: float) -> Tensor:
        if sigma == 0:
            return x
        return x + sigma * torch.randn(x.shape, generator=self.random, device=x.device)

    def _reconstruction(self, made: Tensor, x: Tensor) -> Terms:
        c, terms = self.config, {}
        if c.l1:
            terms["l1"] = c.l1 * F.l1_loss(made, x)
        if c.gradient:
            terms["gradient"] = c.gradient * gradient_loss(made, x)
        if c.psnr:
            terms["psnr"] = c.psnr * psnr_loss(made, x)
        if c.ssim:
            with torch.autocast(x.device.type, enabled=False):
                terms["ssim"] = c.ssim * (1 - ssim(made, x).mean())
        return terms

    def _heads(self, clean: Vectors, vectors: Vectors, batch: Batch) -> Terms:
        c, half = self.config, len(batch.x) // 2
        read = self.networks.disease(vectors.medical, self.random).float()
        terms = {"disease": c.disease * F.cross_entropy(read, batch.label)}
        if c.form == "closed":
            said = self.networks.patient(vectors.identity, self.random).float()
            loss = F.cross_entropy(said, batch.patient, label_smoothing=c.smoothing)
        else:
            with torch.autocast(batch.x.device.type, enabled=False):
                first, second = clean.identity[:half], clean.identity[half:]
                loss = pair_loss(first, second, batch.patient[:half], c.margin)
        return terms | {"identity": c.identity * loss}

    def _hidden(self, vectors: Vectors, batch: Batch, strength: float) -> Terms:
        """Return the adversaries' losses; the vectors' gradients come back reversed."""
        c, terms = self.config, {}
        weights = {"patient": c.reverse_patient, "label": c.reverse_label}
        for name, head in self.networks.adversaries.items():
            target, part = name.split("_")
            if weights[target]:
                vector = reversed_gradient(getattr(vectors, part), strength * weights[target])
                truth = batch.patient if target == "patient" else batch.label
                terms[name] = F.cross_entropy(head(vector, self.random).float(), truth)
        return terms

    def _named(self, swapped: Swapped, batch: Batch) -> Tensor:
        """Return what the frozen recognisers lack: a swapped image should show the donor's patient
        where the identity was swapped, the donor's label where the medical vector was.
        """
        order, total = batch.order, batch.x.new_zeros(())
        for target, recogniser in self.recognisers:
            said = recogniser(swapped.images).float()
            if target == "label":
                wanted = torch.cat([batch.label[order], batch.label, batch.label])
                total = total + F.cross_entropy(said, wanted)
            elif self.config.form == "closed":
                wanted = torch.cat([batch.patient, batch.patient[order], batch.patient])
                total = total + F.cross_entropy(said, wanted)
            else:  # as like the image of the wanted patient as can be, whoever that is
                with torch.no_grad():
                    real = recogniser(batch.x).float()
                like = torch.cat([real, real[order], real])
                total = total + (1 - F.cosine_similarity(said, like)).mean()
        return total / len(self.recognisers)

    def _fooled(self, shown: Tensor, made: Tensor, x: Tensor, strength: float) -> Terms:
        c, terms = self.config, {}
        if c.adversarial:
            judged, _ = self.discriminator(self.seen(shown))
            terms["adversarial"] = strength * c.adversarial * fooling_loss(judged)
        if c.features:
            with torch.no_grad():
                _, real = self.discriminator(x)
            _, fake = self.discriminator(made)
            terms["features"] = strength * c.features * feature_loss(fake, real)
        return terms
