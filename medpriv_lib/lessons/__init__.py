"""What chapters need: pictures with sliders, exercises that check themselves."""
