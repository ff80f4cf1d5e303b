"""From prompts to a structure: the interface of all prompters, and the one that needs no training.

`FrontPrompter` lets two fronts run over the image, one from the clicks, one from what is certainly not meant; where
they meet is the outline. How far the structure reaches is not known at the first click, so it supposes several
radii (`first_guess`), weighs them by how unlike their surroundings the results look (`appearance`), and fuses them
(`fusion`). Every later click changes the outline near itself only (`correction`).
"""

from .front_prompter import FrontPrompter
from .parameters import Parameters
from .prompter import Mask, Prompter

__all__ = ["FrontPrompter", "Mask", "Parameters", "Prompter"]
