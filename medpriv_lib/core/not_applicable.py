"""The one error that means "this cannot be asked here", apart from every error that is a fault."""


class NotApplicable(ValueError):
    """What was asked for does not exist for these images, and the message says why.

    Too few patients of a label, no contributor apart from the source, a single draw. A loop over
    methods, measures or attacks catches this class and nothing else, and shows the reason where the
    result would stand; any other error is a fault and ends the run.
    """
