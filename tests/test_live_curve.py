"""The learning curve that grows while a network trains."""

from medpriv_lib.lessons.live_curve import LiveCurve


def test_the_curve_holds_every_epoch_and_the_bar_how_far_it_is():
    live = LiveCurve()
    losses = [(0.9, 1.0), (0.5, 0.8), (0.4, 0.9)]
    for epoch, (train, val) in enumerate(losses, start=1):
        live(epoch, 5, {"train_loss": train, "val_loss": val})
    lines = {line.get_label(): line.get_ydata().tolist() for line in live.curve.lines}
    assert lines == {"train loss": [0.9, 0.5, 0.4], "val loss": [1.0, 0.8, 0.9]}
    (bar,) = live.bar.patches
    assert bar.get_width() == 3
    assert live.bar.get_xlim() == (0, 5)
