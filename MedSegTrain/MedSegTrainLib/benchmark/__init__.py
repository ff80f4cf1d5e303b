"""Networks and baselines on the same data, folds and seeds: independent, resumable runs, and the report about them."""
