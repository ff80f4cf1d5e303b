"""The engine of MedSegDL: volumes, models, the predictor, its worker process and the scene.

Importing the package loads nothing but the standard library; every part is imported where it is used.
"""

__version__ = "0.1.0"
