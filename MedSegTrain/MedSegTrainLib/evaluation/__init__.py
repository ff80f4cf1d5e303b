"""How good a bundle is, measured with the predictor that its users get."""
