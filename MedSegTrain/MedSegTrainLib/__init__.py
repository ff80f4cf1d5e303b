"""Training and evaluating the networks that MedSegDL runs."""
