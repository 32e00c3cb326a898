"""The technologies that fit the arrows of the deep-radiomics pipeline, one file an arrow."""
