"""How much noise a patient-level budget asks for."""


def multiplier(epsilon: float, delta: float, rounds: int, drawn: float) -> float:
    """Return the noise's standard deviation over the clipping bound that keeps a training within
    (epsilon, delta) for each patient.

    `rounds` sums of clipped updates, one a patient, each patient in a round with probability
    `drawn`; accounted by privacy loss distributions (dp-accounting).
    """
    import dp_accounting
    from dp_accounting import pld

    def training(noise: float) -> dp_accounting.DpEvent:
        one = dp_accounting.PoissonSampledDpEvent(drawn, dp_accounting.GaussianDpEvent(noise))
        return dp_accounting.SelfComposedDpEvent(one, rounds)

    return float(
        dp_accounting.calibrate_dp_mechanism(
            lambda: pld.PLDAccountant(value_discretization_interval=1e-3),
            training,
            epsilon,
            delta,
            dp_accounting.LowerEndpointAndGuess(0.3, 1.0),
            tol=1e-3,
        )
    )
