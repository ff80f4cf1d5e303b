"""What the module puts into Slicer's scene."""
