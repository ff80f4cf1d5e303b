"""MRML scene and Volume, in both directions. Needs slicer and vtk, in Slicer or from slicer-core; never Qt."""
