"""Lines of the library, one changed at a time, so that a test can see whether a chapter's stored
numbers notice."""

from pathlib import Path

from changing import Change, changed

ROOT = Path(__file__).resolve().parents[2]

MUTATIONS = [
    Change(
        "blur",
        "privatizers/blur.py",
        "return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8",
        "return 0.3 * ((kernel - 1) * 0.5 - 1) + 1.1",
        ("cut = {}",),
    ),
    Change(
        "k-same-select",
        "privatizers/k_same.py",
        "groups = group(cohort.images, self.k, order)",
        "groups = group(cohort.images, self.k + 1, order)",
        ('"K-Same": KSame(6).privatize(probes)',),
    ),
    Change(
        "pprl-vgan",
        "privatizers/vgan/losses.py",
        "return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance)",
        "return 0.5 * (mu.square() + log_variance.exp() - 1 + log_variance)",
        ("def kl_by_hand(",),
    ),
    Change(
        "what-pprl-vgan-releases",
        "privatizers/replacement.py",
        "allowed[rows, known[rows]] = False",
        "allowed[rows, known[rows]] = True",
        ("pools.candidates(test, policy)",),
    ),
    Change(
        "several-releases",
        "attacks/intersection.py",
        "return np.logical_and.accumulate(",
        "return np.logical_or.accumulate(",
        ("same_case = [KSame(k)",),
    ),
    Change(
        "averaged-sets",
        "privatizers/averaging.py",
        "drawn[:, 0] = own",
        "drawn[:, 0] = (own + 1) % len(pools.names)",
        ("def average_by_hand(",),
    ),
    Change(
        "explanation-with-deep-taylor",
        "explanation/deep_taylor.py",
        'divider.register_parameter("bias", None)',
        "pass  # biases take their share",
        ('"Deep Taylor": deep_taylor(judge, eyes)',),
    ),
    Change(
        "radiomics",
        "measures/radiomics/glcm.py",
        "contrast = of_difference @ k, of_difference @ k**2",
        "contrast = of_difference @ k, of_difference @ k**3",
        ("small = Levels(image[None]",),
    ),
    Change(
        "federated-learning",
        "federation/sites.py",
        'weight = 2.0 ** np.arange(sites) if how == "size"',
        'weight = 2.0 ** np.arange(sites) if how == "even"',
        ('sites = mp.deal(cohort, 3, "even"',),
    ),
    Change(
        "encrypted-inference",
        "encrypted/gates.py",
        "seen = mask >> U(IGNORED)",
        "seen = mask >> U(IGNORED + 1)",
        ("session = InProcess(network, keep=True)",),
    ),
    Change(
        "differential-privacy",
        "federation/private/ledger.py",
        "if spent > self.budget:",
        "if spent > 2 * self.budget:",
        ("ledger = Ledger(",),
    ),
    Change(
        "a-yardstick",
        "measures/own_signs.py",
        "won = ((fit < own) + 0.5 * (fit == own)) * other",
        "won = ((fit < own) + 1.0 * (fit == own)) * other",
        ("def own_by_hand(",),
    ),
    Change(
        "confounding",
        "recognition/crossfit.py",
        "return missing == 0, seen",
        "return missing >= 0, seen",
        ("rows, on_twins, on_images = {}, {}, {}", "reading = pd.DataFrame(rows).T"),
    ),
    Change(
        "counterfactuals",
        "explanation/edits.py",
        "below = (images - alpha * signs.v) / (1 - alpha)",
        "below = images - alpha * signs.v",
        ('lifted = edits["signs lifted off"]',),
    ),
    Change(
        "disentanglement",
        "privatizers/disentangled/losses.py",
        'target = b[q] if q == p and form == "donor" else a[q]',
        'target = b[q] if q != p and form == "donor" else a[q]',
        ("by_hand = ((w.medical - b.medical) ** 2).mean()",),
    ),
    Change(
        "synthetic-identities",
        "privatizers/disentangled/identities.py",
        "found = apart.topk(k, dim=1, largest=False)",
        "found = apart.topk(k, dim=1, largest=True)",
        ('"mean of the 6 nearest": lent.mean(', "kinds_of_identity.loc[name, 'distance']"),
    ),
    Change(
        "sign-transfer",
        "privatizers/sign_transfer/sign_transfer.py",
        "blended = strangers + alpha * (signs.v - strangers)",
        "blended = strangers + alpha * signs.v",
        ('few = tests["crossed"].take(np.arange(16))',),
    ),
    Change(
        "secure-aggregation",
        "federation/secure_aggregation/fixed_point.py",
        "return signed[:-1] / (patients * 2.0**FRACTION), patients",
        "return signed[:-1] / (patients * 2.0 ** (FRACTION - 1)), patients",
        ("identities, roster = enrol(", "for number, lost in enumerate("),
    ),
    Change(
        "combining-them",
        "federation/private/at_site.py",
        "if demand.shares > guard.shares:",
        "if demand.shares < guard.shares:",
        ("own = sites[0]",),
    ),
    Change(
        "hybrids",
        "federation/vertical.py",
        "return derivative < 0",
        "return derivative > 0",
        ("read = labels_from(",),
    ),
    Change(
        "collecting-without-exposing",
        "collection/anonymous_tables/mondrian.py",
        "return patients >= k and len(np.unique(value[rows])) >= different",
        "return patients >= k // 2 and len(np.unique(value[rows])) >= different",
        ("raw = alone(groups_of(table",),
    ),
    Change(
        "gradient-inversion",
        "attacks/gradient_inversion/dense.py",
        "values = weight.T @ bias / size",
        "values = weight.T @ bias.abs() / size",
        ('exact = dense_input(sent["1.weight"]',),
    ),
]


def mutated(change: Change, folder: Path) -> Path:
    """Make the changed library in `folder` and return what PYTHONPATH must be; files but that one
    are linked."""
    source = ROOT / "medpriv_lib"
    for path in source.rglob("*"):
        target = folder / path.relative_to(ROOT)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif "__pycache__" not in path.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    file = folder / "medpriv_lib" / change.file
    text = changed(file.read_text(encoding="utf-8"), change)
    file.unlink()
    file.write_text(text, encoding="utf-8")
    return folder
