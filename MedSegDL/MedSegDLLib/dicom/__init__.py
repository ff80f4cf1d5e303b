"""DICOM in and out: series to volumes, RTSTRUCT and SEG to masks, labels to SEG. No slicer, no torch, no qt."""
