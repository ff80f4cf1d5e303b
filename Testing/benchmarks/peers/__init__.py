"""One file a peer, each with `run(case, steps, threads)`: the case's image to labels, measured step by step.

The steps have the same names everywhere: "load" (the model), "read", "preprocess", "network" (the forward calls alone),
"sliding window" (all around them), "labels" (from logits to labels on the image's grid), "write".
"""

CHECK = "saved for the check"  # what the benchmark itself does in between; no part of any peer
