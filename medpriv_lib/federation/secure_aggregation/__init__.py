"""The sum of what hospitals send, without any one hospital's part (Bonawitz et al. 2017).

Each site adds masks to its numbers. The masks of all sites cancel in the sum, and those of sites
that drop out are reconstructed from shares that the others hold. The coordinator learns the sum of
the sites that stayed, and which sites these were.

What this hides: one site's numbers, from the coordinator together with up to 2t - n - 1 of the n
sites, for a threshold of t sites. What this does not hide: **anything that the sum says**. A sum
over few sites, or over few patients, may show a patient. All sites but one, together with the
coordinator, subtract their own numbers and have the last site's. Two sums whose sites differ by one
differ by about the update of that site. Nor does a sum that nobody can look into say whether a site
sent nonsense.

What is trusted: the roster, that is each site's identity key, which the sites compare outside the
protocol (`identity.Roster.fingerprint`); the software and the operating system's randomness of each
site. The coordinator is not trusted: its keys, lists and models are checked against signatures.
"""

from medpriv_lib.core.extra import FEDERATED

FEDERATED.need("cryptography")  # every file of this folder needs the package
