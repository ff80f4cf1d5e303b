"""Segmentation without a network: classical methods, and classical learners on features of voxels."""
