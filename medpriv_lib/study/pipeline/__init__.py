"""The map: every technology in its place of the deep-radiomics pipeline, measured and attacked."""
