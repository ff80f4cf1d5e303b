"""The engine: preprocessing, sliding window, predictor, and the worker process around them. No slicer, no qt.

Importing the package loads nothing; a worker is up, and can say what its Python lacks, before any heavy import.
"""
