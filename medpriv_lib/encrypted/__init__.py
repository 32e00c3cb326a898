"""The same decision, computed by parties of whom none sees both the image and the network."""
