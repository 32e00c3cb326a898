"""What is special to eyes: finding the iris, cutting the burned-in label, the shape of an eye."""
